"""I(X;M) and I(Y;M) of every layer against the epoch."""

from itertools import cycle

import pandas as pd
from matplotlib.figure import Figure

from deep_bottleneck.interfaces import BasePlotter, Results
from deep_bottleneck.plotter.curves import layer_labels, scale_epochs, thin_and_thick
from deep_bottleneck.plotter.style import CATEGORY_COLORS, described, styled

TITLES = {"MI_XM": "I(X;M) [bits]", "MI_YM": "I(Y;M) [bits]"}


def load() -> "InformationOverEpochs":
    """A plotter that draws curves for each part of the data."""
    return InformationOverEpochs()


class InformationOverEpochs(BasePlotter):
    """Draws every run as a thin line, and the mean or median over runs as a thick one."""

    def plot(self, results: Results) -> dict[str, Figure]:
        """One figure `mi_over_epochs_<name>` for each table that is not empty."""
        return {
            f"mi_over_epochs_{name}": information_over_epochs(table, results.plot_median)
            for name, table in results.tables.items()
            if not table.empty
        }


@styled
def information_over_epochs(table: pd.DataFrame, plot_median: bool) -> Figure:
    """Draw a panel for each of the two informations, and in it a colour for each layer.

    Args:
        table: as `deep_bottleneck.measuring.estimation.estimate` gives it.
        plot_median: whether thick lines are medians over runs instead of means.
    """
    figure = Figure(figsize=(9, 7.5))
    figure.suptitle(f"Information over training\n{described(table.iloc[0])}", fontsize=11)
    panels = figure.subplots(2, sharex=True)
    for axes, (column, title) in zip(panels, TITLES.items(), strict=True):
        for (layer, label), color in zip(
            layer_labels(table).items(), cycle(CATEGORY_COLORS), strict=False
        ):
            of_layer = table[table["layer"] == layer]
            thin_and_thick(axes, of_layer, column, label, plot_median, color)
        axes.set(ylabel=title)
        axes.set_ylim(bottom=min(0.0, table[column].min()))
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, title="layer", loc="outside right center", frameon=False)
    panels[1].set(xlabel="epoch")
    scale_epochs(panels[1], int(table["epoch"].max()))
    return figure
