"""The causal plane: sensitivity against degeneracy of every layer, over training.

Marrow, Michaud and Hoel 2020, "Examining the causal structures of deep neural networks using
information theory": EI_parts = sensitivity - degeneracy, so that it is the same on each diagonal.
"""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from deep_bottleneck.interfaces import BasePlotter, Results
from deep_bottleneck.plotter.curves import layer_labels
from deep_bottleneck.plotter.style import COLOR_MAP, SPREAD_COLOR, add_epoch_bar, epoch_norm, styled

REFERENCES = ("marrow2020",)

NEEDED_TABLES = {"effective_information": "callbacks.effective_information"}
COORDINATES = ["degeneracy", "sensitivity"]
MOST_COLUMNS = 3
PANEL_SIZE = 4.2


def load() -> "CausalPlane":
    """A plotter that draws what `callbacks.effective_information` recorded."""
    return CausalPlane()


class CausalPlane(BasePlotter):
    """Draws the path of each layer, the mean or median over runs, coloured by epoch.

    Thin lines are the paths of single runs, diagonals are of equal EI_parts. Each layer has a plane
    of its own, as paths lie close to the diagonal and would cover each other.
    """

    def plot(self, results: Results) -> dict[str, Figure]:
        """One figure `causal_plane`."""
        table = results.stored["effective_information"]
        return {"causal_plane": causal_plane(table, results.plot_median)}


@styled
def causal_plane(table: pd.DataFrame, plot_median: bool) -> Figure:
    """Draw a plane for each layer.

    Args:
        table: columns run, epoch, layer, name, measure, value, among the measures degeneracy
            and sensitivity in bits.
        plot_median: whether the points are medians over runs instead of means.
    """
    points = _points(table)
    labels = layer_labels(table)
    last = int(table["epoch"].max())
    norm = epoch_norm(last)
    n_columns = min(MOST_COLUMNS, len(labels))
    n_rows = math.ceil(len(labels) / n_columns)
    figure = Figure(figsize=(PANEL_SIZE * n_columns + 1, PANEL_SIZE * n_rows + 0.5))
    figure.suptitle("Causal plane")
    panels = list(figure.subplots(n_rows, n_columns, squeeze=False).flat)
    for axes, (layer, label) in zip(panels, labels.items(), strict=False):
        axes.set(title=f"layer {label}", xlabel="degeneracy [bits]", ylabel="sensitivity [bits]")
        _draw_path(axes, points[points["layer"] == layer], plot_median, norm)
    for unused in panels[len(labels) :]:
        unused.set_axis_off()
    add_epoch_bar(panels, ScalarMappable(norm, COLOR_MAP), last)
    return figure


def _points(table: pd.DataFrame) -> pd.DataFrame:
    """Columns layer, run, epoch, degeneracy, sensitivity; without those that were not measured."""
    measured = table[table["measure"].isin(COORDINATES)]
    keys = ["layer", "run", "epoch"]
    points = measured.pivot_table(index=keys, columns="measure", values="value")
    return points.reindex(columns=COORDINATES).dropna().reset_index()


def _draw_path(axes: Axes, points: pd.DataFrame, plot_median: bool, norm: Normalize) -> None:
    if points.empty:
        axes.text(0.5, 0.5, "no value could be measured", ha="center", transform=axes.transAxes)
        return
    if points["run"].max() > points["run"].min():
        for _, path in points.groupby("run"):
            axes.plot(*path[COORDINATES].to_numpy().T, color=SPREAD_COLOR, alpha=0.6, lw=0.5)
    by_epoch = points.groupby("epoch")[COORDINATES]
    centre = by_epoch.median() if plot_median else by_epoch.mean()
    x, y = centre.to_numpy().T
    axes.plot(x, y, color="0.3", lw=1)
    axes.scatter(x, y, c=centre.index, cmap=COLOR_MAP, norm=norm, s=24, zorder=3)
    _draw_diagonals(axes, points["sensitivity"] - points["degeneracy"])


def _draw_diagonals(axes: Axes, ei_parts: pd.Series) -> None:
    """Lines of equal EI_parts, labelled at the right, where all of them leave the axes."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    levels = list(MaxNLocator(3).tick_values(ei_parts.min(), ei_parts.max()))
    for level in levels:
        axes.axline((left, left + level), slope=1, color="0.7", lw=0.7, ls="--", zorder=0)
        label = f" EI {level:g}"
        axes.text(right, right + level, label, va="center", fontsize=7, color="0.4")
    axes.set(
        xlim=(left, right),
        ylim=(min(bottom, right + levels[0]), max(top, right + levels[-1])),
    )
