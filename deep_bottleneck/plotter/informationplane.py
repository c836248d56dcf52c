"""The information plane: I(X;M) against I(Y;M) of every layer, over training."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection, LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from deep_bottleneck.interfaces import BasePlotter, Results
from deep_bottleneck.plotter.curves import layer_labels
from deep_bottleneck.plotter.style import (
    COLOR_MAP,
    SPREAD_COLOR,
    add_epoch_bar,
    described,
    epoch_norm,
    styled,
)

REFERENCES = ("shwartz-ziv2017",)

COORDINATES = ["MI_XM", "MI_YM"]


def load() -> "InformationPlane":
    """A plotter that draws one plane for each part of the data."""
    return InformationPlane()


class InformationPlane(BasePlotter):
    """Draws the mean or median over runs.

    One colour for each epoch, a line through its layers, and behind the points light ellipses for
    the spread over runs: one standard deviation, or for medians the central 68 %.
    """

    def plot(self, results: Results) -> dict[str, Figure]:
        """One figure `infoplane_<name>` for each table."""
        return {
            f"infoplane_{name}": plane(
                table, results.plot_median, f"Information plane ({name.part})"
            )
            for name, table in results.tables.items()
        }


@styled
def plane(table: pd.DataFrame, plot_median: bool, title: str) -> Figure:
    """Draw one information plane.

    Args:
        table: as `deep_bottleneck.measuring.estimation.estimate` gives it.
        plot_median: whether the points are medians over runs instead of means.
        title: what stands above.
    """
    figure = Figure(figsize=(8, 6))
    axes = figure.add_subplot()
    method = "" if table.empty else described(table.iloc[0])
    axes.set(xlabel="I(X;M) [bits]", ylabel="I(Y;M) [bits]")
    axes.set_title(method, fontsize=9)
    figure.suptitle(title)
    centre, spread = summarise(table.dropna(subset=COORDINATES), plot_median)
    if centre.empty:
        axes.text(0.5, 0.5, "no value could be estimated", ha="center", transform=axes.transAxes)
        return figure
    epochs = centre.index.get_level_values("epoch").to_numpy()
    last = int(epochs.max())
    norm = epoch_norm(last)
    points = centre.to_numpy()
    if table["run"].max() > table["run"].min():
        axes.add_collection(_ellipses(points, spread, axes))
    axes.add_collection(_lines(centre, norm))
    scatter = axes.scatter(
        points[:, 0], points[:, 1], c=epochs, cmap=COLOR_MAP, norm=norm, s=14, zorder=2
    )
    margin = spread.fillna(0).to_numpy() + 0.03 * np.ptp(points, axis=0) + 0.01
    low, high = (points - margin).min(axis=0), (points + margin).max(axis=0)
    ceiling = float(table["ceiling"].max())
    _mark_ceiling(axes, ceiling)
    high[0] = max(high[0], ceiling + 0.02 * (ceiling - low[0]))
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    _name_layers(axes, table, centre)
    add_epoch_bar(axes, scatter, last)
    return figure


def _name_layers(axes: Axes, table: pd.DataFrame, centre: pd.DataFrame) -> None:
    """Write the names of layers, where they have some, beside where they were last."""
    last = centre.groupby("layer").last()
    for layer, label in layer_labels(table).items():
        if layer in last.index and label != str(layer):
            point = tuple(last.loc[layer])
            axes.annotate(label, point, (4, 3), textcoords="offset points", fontsize=7, color="0.3")


def summarise(table: pd.DataFrame, median: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Centre and spread over runs of both coordinates, indexed by epoch and layer.

    Args:
        table: columns run, epoch, layer, MI_XM, MI_YM.
        median: median and half the central 68 %, instead of mean and standard deviation.
    """
    groups = table.groupby(["epoch", "layer"])[COORDINATES]
    if median:
        return groups.median(), (groups.quantile(0.84) - groups.quantile(0.16)) / 2
    return groups.mean(), groups.std(ddof=0)


def _ellipses(points: np.ndarray[Any, Any], spread: pd.DataFrame, axes: Axes) -> EllipseCollection:
    width, height = 2 * spread.to_numpy().T
    return EllipseCollection(
        width,
        height,
        np.zeros_like(width),
        units="xy",
        offsets=points,
        offset_transform=axes.transData,
        facecolor=SPREAD_COLOR,
        alpha=0.15,
        zorder=0,
    )


def _mark_ceiling(axes: Axes, ceiling: float) -> None:
    axes.axvline(ceiling, color="0.4", linewidth=0.8, zorder=0)
    axes.annotate(
        "ceiling",
        (ceiling, 0),
        (-2, 3),
        ("data", "axes fraction"),
        "offset points",
        ha="right",
        va="bottom",
        rotation=90,
        fontsize=8,
        color="0.4",
    )


def _lines(centre: pd.DataFrame, norm: Normalize) -> LineCollection:
    paths = {epoch: layers.to_numpy() for epoch, layers in centre.groupby(level="epoch")}
    lines = LineCollection(
        list(paths.values()), cmap=COLOR_MAP, norm=norm, alpha=0.25, linewidth=0.7, zorder=1
    )
    lines.set_array(np.array(list(paths)))
    return lines
