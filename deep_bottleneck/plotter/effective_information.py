"""Effective information of each layer over training."""

from matplotlib.figure import Figure

from deep_bottleneck.interfaces import BasePlotter, Results
from deep_bottleneck.plotter.curves import panels

NEEDED_TABLES = {"effective_information": "callbacks.effective_information"}
TITLES = {
    "ei": "EI of whole vectors [bits]",
    "ei_parts": "EI of parts [bits]",
    "sensitivity": "sensitivity [bits]",
    "degeneracy": "degeneracy [bits]",
    "determinism": "determinism [bits]",
}


def load() -> "EffectiveInformation":
    """A plotter that draws what `callbacks.effective_information` recorded."""
    return EffectiveInformation()


class EffectiveInformation(BasePlotter):
    """Draws a panel for each measure, a curve for each layer, a band for the spread over runs."""

    def plot(self, results: Results) -> dict[str, Figure]:
        """One figure `effective_information_plot`, beside the table `effective_information`."""
        table = results.stored["effective_information"]
        return {
            "effective_information_plot": panels(
                table, TITLES, "Effective information", results.plot_median
            )
        }
