"""How much each layer compresses: the peak of I(X;M) over training against its final value."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from deep_bottleneck.interfaces import BasePlotter, Results
from deep_bottleneck.plotter.curves import layer_ticks
from deep_bottleneck.plotter.style import CATEGORY_COLORS, described, styled

OFFSETS = {"peak": -0.12, "final": 0.12}


def load() -> "Compression":
    """A plotter that draws a summary for each part of the data."""
    return Compression()


class Compression(BasePlotter):
    """Draws peak and final I(X;M) of every layer, and the bits between them.

    Dots are single runs; bars are means with one standard deviation to either side, or medians
    with the central 68 %.
    """

    def plot(self, results: Results) -> dict[str, Figure]:
        """One figure `compression_<name>` for each table that is not empty."""
        return {
            f"compression_{name}": compression(table, results.plot_median)
            for name, table in results.tables.items()
            if not table.empty
        }


def peak_and_final(table: pd.DataFrame) -> pd.DataFrame:
    """The largest I(X;M) over training, the last one, and by how much the last is smaller.

    Args:
        table: columns run, epoch, layer, MI_XM.

    Returns:
        Columns run, layer, peak, final, compression, in bits; NaN where the last epoch of the run
        could not be estimated.
    """
    by_layer = table.sort_values("epoch").groupby(["run", "layer"])["MI_XM"]
    found = pd.DataFrame({"peak": by_layer.max(), "final": by_layer.last(skipna=False)})
    return found.assign(compression=found["peak"] - found["final"]).reset_index()


@styled
def compression(table: pd.DataFrame, plot_median: bool) -> Figure:
    """Draw peak and final above, the difference below.

    Args:
        table: as `deep_bottleneck.measuring.estimation.estimate` gives it.
        plot_median: whether to summarise runs by their median instead of their mean.
    """
    found = peak_and_final(table)
    figure = Figure(figsize=(8, 7))
    figure.suptitle(f"Compression\n{described(table.iloc[0])}", fontsize=11)
    above, below = figure.subplots(2, sharex=True)
    panels = {"peak": above, "final": above, "compression": below}
    for (column, axes), color in zip(panels.items(), CATEGORY_COLORS, strict=False):
        offset = OFFSETS.get(column, 0.0)
        centre, low, high = _centre_and_spread(found, column, plot_median)
        axes.plot(found["layer"] + offset, found[column], ".", color=color, alpha=0.4)
        axes.errorbar(
            centre.index + offset,
            centre,
            np.maximum([centre - low, high - centre], 0),
            fmt="_",
            markersize=14,
            capsize=4,
            color=color,
            label=column,
        )
    above.set(ylabel="I(X;M) [bits]")
    above.legend(frameon=False)
    below.set(xlabel="layer", ylabel="peak - final [bits]")
    below.axhline(0, color="0.4", linewidth=0.8)
    layer_ticks(below.xaxis, table)
    return figure


def _centre_and_spread(
    found: pd.DataFrame, column: str, median: bool
) -> "tuple[pd.Series[float], pd.Series[float], pd.Series[float]]":
    """By layer the centre over runs, and the two ends of the bar."""
    by_layer = found.groupby("layer")[column]
    if median:
        return by_layer.median(), by_layer.quantile(0.16), by_layer.quantile(0.84)
    mean, deviation = by_layer.mean(), by_layer.std(ddof=0)
    return mean, mean - deviation, mean + deviation
