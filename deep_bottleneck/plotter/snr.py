"""Signal and noise of the batch gradients over training.

Shwartz-Ziv and Tishby 2017, "Opening the black box of deep neural networks via information",
section 3.3: where the signal-to-noise ratio of the gradients drops, drift gives way to diffusion.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from deep_bottleneck.interfaces import BasePlotter, Results
from deep_bottleneck.plotter.curves import panels

REFERENCES = ("shwartz-ziv2017",)

NEEDED_TABLES = {"gradients": "callbacks.gradient_logger"}
TITLES = {
    "mean_norm": "norm of the mean gradient",
    "std_norm": "norm of its standard deviation",
    "snr": "signal-to-noise ratio",
    "weight_norm": "norm of the weights",
}


def load() -> "SignalToNoise":
    """A plotter that draws what `callbacks.gradient_logger` recorded."""
    return SignalToNoise()


class SignalToNoise(BasePlotter):
    """Draws a panel for each norm and one for their ratio, all axes logarithmic."""

    def plot(self, results: Results) -> dict[str, Figure]:
        """One figure `snr`."""
        table = ratios(results.stored["gradients"])
        title = "Gradients over the batches of an epoch"
        figure = panels(table, TITLES, title, results.plot_median, log=True, linear_up_to=0)
        return {"snr": figure}


def ratios(gradients: pd.DataFrame) -> pd.DataFrame:
    """The norms and their ratio, one row for each.

    Args:
        gradients: columns run, epoch, layer, name, mean_norm, std_norm, weight_norm.

    Returns:
        Columns run, epoch, layer, name, measure, value. The ratio is |mean| / |standard deviation|,
        NaN where an epoch is a single batch and so has no noise.
    """
    noise = gradients["std_norm"].where(gradients["std_norm"] > 0, np.nan)
    return gradients.assign(snr=gradients["mean_norm"] / noise).melt(
        ["run", "epoch", "layer", "name"], list(TITLES), "measure"
    )
