"""Effective information of the weight graph over training."""

from matplotlib.figure import Figure

from deep_bottleneck.interfaces import BasePlotter, Results
from deep_bottleneck.plotter.curves import panels

NEEDED_TABLES = {"weight_graph_information": "callbacks.weight_graph_information"}
TITLES = {
    "ei": "EI [bits]",
    "determinism": "determinism [bits]",
    "degeneracy": "degeneracy [bits]",
}


def load() -> "WeightGraphInformation":
    """A plotter that draws what `callbacks.weight_graph_information` recorded."""
    return WeightGraphInformation()


class WeightGraphInformation(BasePlotter):
    """Draws a panel for each measure, a curve for each layer and one for the network."""

    def plot(self, results: Results) -> dict[str, Figure]:
        """One figure `weight_graph_information_plot`, beside the table of its name."""
        table = results.stored["weight_graph_information"]
        return {
            "weight_graph_information_plot": panels(
                table, TITLES, "Effective information of the weight graph", results.plot_median
            )
        }
