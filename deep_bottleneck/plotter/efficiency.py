"""State-space efficiency over training: of each layer, and of the network with its aIQ."""

import pandas as pd
from matplotlib.figure import Figure

from deep_bottleneck.interfaces import BasePlotter, Results
from deep_bottleneck.plotter.curves import curve, scale_epochs
from deep_bottleneck.plotter.style import styled

NEEDED_TABLES = {"efficiency": "callbacks.efficiency"}


def load() -> "Efficiency":
    """A plotter that draws what `callbacks.efficiency` recorded."""
    return Efficiency()


class Efficiency(BasePlotter):
    """Draws the mean or median over runs, with a band for the spread over runs.

    The band is one standard deviation to either side, or for medians the central 68 %. Hollow
    points are epochs at which a layer was under-sampled in a run: its efficiency there says more
    about the number of observations than about the layer.
    """

    def plot(self, results: Results) -> dict[str, Figure]:
        """One figure `efficiency_plot`, beside the table `efficiency`."""
        return {"efficiency_plot": efficiency(results.stored["efficiency"], results.plot_median)}


@styled
def efficiency(table: pd.DataFrame, plot_median: bool) -> Figure:
    """Draw the layers above and the network below.

    Args:
        table: columns run, epoch, layer, name, efficiency, undersampled,
            network_efficiency, aIQ.
        plot_median: whether the lines are medians over runs instead of means.
    """
    figure = Figure(figsize=(8, 8))
    above, below = figure.subplots(2, sharex=True)
    above.set(title="State-space efficiency", ylabel="layer efficiency")
    for (_, name), of_layer in table.groupby(["layer", "name"]):
        undersampled = of_layer.groupby("epoch")["undersampled"].any()
        curve(above, of_layer, "efficiency", str(name), plot_median, hollow=undersampled)
    if table["undersampled"].any():
        above.plot([], [], "o", color="0.4", mfc="white", label="under-sampled")
    of_network = table.drop_duplicates(["run", "epoch"])
    below.set(xlabel="epoch", ylabel="network")
    curve(below, of_network, "network_efficiency", "efficiency", plot_median)
    curve(below, of_network, "aIQ", "aIQ", plot_median)
    scale_epochs(below, int(table["epoch"].max()))
    for axes in (above, below):
        axes.set_ylim(bottom=0)
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return figure
