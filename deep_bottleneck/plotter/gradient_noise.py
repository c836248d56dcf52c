"""Gradient noise over training."""

from matplotlib.figure import Figure

from deep_bottleneck.interfaces import BasePlotter, Results
from deep_bottleneck.plotter.curves import panels

NEEDED_TABLES = {"gradient_noise": "callbacks.gradient_noise"}
TITLES = {
    "scale": "noise scale [examples]",
    "noise": "noise, tr(Σ)",
    "signal": "signal, |G|²",
}


def load() -> "GradientNoise":
    """A plotter that draws what `callbacks.gradient_noise` recorded."""
    return GradientNoise()


class GradientNoise(BasePlotter):
    """Draws noise, signal and their ratio on logarithmic axes, where values below 0 are gaps."""

    def plot(self, results: Results) -> dict[str, Figure]:
        """One figure `gradient_noise_plot`, beside the table `gradient_noise`."""
        table = results.stored["gradient_noise"]
        return {
            "gradient_noise_plot": panels(
                table, TITLES, "Gradient noise", results.plot_median, log=True
            )
        }
