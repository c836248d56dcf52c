"""Accuracy on training and test examples against the epoch."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from deep_bottleneck.interfaces import BasePlotter, Results
from deep_bottleneck.plotter.curves import scale_epochs, thin_and_thick
from deep_bottleneck.plotter.style import CATEGORY_COLORS, styled

LABELS = {"accuracy": "train", "val_accuracy": "test"}


def load() -> "Accuracy":
    """A plotter that draws the metrics of every epoch."""
    return Accuracy()


class Accuracy(BasePlotter):
    """Draws every run as a thin line, and the mean or median over runs as a thick one."""

    def plot(self, results: Results) -> dict[str, Figure]:
        """One figure `accuracy`."""
        return {"accuracy": accuracy(results.metrics, results.plot_median)}


@styled
def accuracy(metrics: pd.DataFrame, plot_median: bool) -> Figure:
    """Draw both accuracies into one panel.

    Args:
        metrics: columns run, epoch, accuracy, val_accuracy.
        plot_median: whether thick lines are medians over runs instead of means.
    """
    figure = Figure(figsize=(8, 5))
    axes = figure.add_subplot()
    for (column, label), color in zip(LABELS.items(), CATEGORY_COLORS, strict=False):
        thin_and_thick(axes, metrics, column, label, plot_median, color)
    axes.set(title="Accuracy", xlabel="epoch")
    axes.set_ylim(top=1.005)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    scale_epochs(axes, int(metrics["epoch"].max()))
    axes.legend(loc="lower right")
    return figure
