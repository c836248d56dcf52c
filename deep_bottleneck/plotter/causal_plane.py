"""The causal plane: sensitivity against degeneracy of every layer, over training.

Mattsson, Michaud and Hoel 2020, "Examining the causal structures of deep neural networks using
information theory": EI_parts = sensitivity - degeneracy, so that it is the same on each diagonal.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from deep_bottleneck.interfaces import BasePlotter, Results
from deep_bottleneck.plotter.curves import layer_labels
from deep_bottleneck.plotter.style import COLOR_MAP, add_epoch_bar, epoch_norm, styled

NEEDED_TABLES = ("effective_information",)
COORDINATES = ["degeneracy", "sensitivity"]
MARKERS = "osD^vP*X<>"


def load() -> "CausalPlane":
    """A plotter that draws what `callbacks.effective_information` recorded."""
    return CausalPlane()


class CausalPlane(BasePlotter):
    """Draws the path of each layer, the mean or median over runs, coloured by epoch.

    Thin lines are the paths of single runs, diagonals are of equal EI_parts.
    """

    def plot(self, results: Results) -> dict[str, Figure]:
        """One figure `causal_plane`."""
        table = results.stored["effective_information"]
        return {"causal_plane": causal_plane(table, results.plot_median)}


@styled
def causal_plane(table: pd.DataFrame, plot_median: bool) -> Figure:
    """Draw the plane.

    Args:
        table: columns run, epoch, layer, layer_name, measure, value, among the measures degeneracy
            and sensitivity in bits.
        plot_median: whether the points are medians over runs instead of means.
    """
    figure = Figure(figsize=(8, 6.5))
    axes = figure.add_subplot()
    axes.set(title="Causal plane", xlabel="degeneracy [bits]", ylabel="sensitivity [bits]")
    points = _points(table)
    if points.empty:
        axes.text(0.5, 0.5, "no value could be measured", ha="center", transform=axes.transAxes)
        return figure
    norm = epoch_norm(int(table["epoch"].max()))
    for index, (layer, label) in enumerate(layer_labels(table).items()):
        of_layer = points[points["layer"] == layer]
        color, marker = f"C{index}", MARKERS[index % len(MARKERS)]
        if table["run"].max() > table["run"].min():
            for _, path in of_layer.groupby("run"):
                axes.plot(*path[COORDINATES].to_numpy().T, color=color, alpha=0.2, lw=0.5)
        by_epoch = of_layer.groupby("epoch")[COORDINATES]
        centre = by_epoch.median() if plot_median else by_epoch.mean()
        x, y = centre.to_numpy().T
        axes.plot(x, y, color=color, lw=1.2)
        axes.plot([], [], color=color, marker=marker, lw=1.2, label=label)
        colored = axes.scatter(
            x, y, c=centre.index, cmap=COLOR_MAP, norm=norm, marker=marker, s=24, zorder=3
        )
    _draw_diagonals(axes, float((points["sensitivity"] - points["degeneracy"]).max()))
    axes.legend(title="layer", loc="best")
    add_epoch_bar(axes, colored)
    return figure


def _points(table: pd.DataFrame) -> pd.DataFrame:
    """Columns layer, run, epoch, degeneracy, sensitivity; without those that were not measured."""
    measured = table[table["measure"].isin(COORDINATES)]
    keys = ["layer", "run", "epoch"]
    points = measured.pivot_table(index=keys, columns="measure", values="value")
    return points.reindex(columns=COORDINATES).dropna().reset_index()


def _draw_diagonals(axes: Axes, largest: float) -> None:
    """Lines of equal EI_parts up to the largest, within the limits that the points have set."""
    limits = axes.get_xlim(), axes.get_ylim()
    x, y = np.meshgrid(*(np.linspace(*pair, 50) for pair in limits))
    levels = MaxNLocator(5).tick_values(0, max(largest, 1))
    lines = axes.contour(x, y, y - x, levels=levels, colors="0.7", linewidths=0.7, zorder=0)
    axes.clabel(lines, fmt="EI %g", fontsize=8)
    axes.set(xlim=limits[0], ylim=limits[1])
