"""The information plane as a movie: one frame for each recorded epoch, accuracy below."""

import importlib.util
from itertools import cycle, islice

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import BasePlotter, Results
from deep_bottleneck.plotter.accuracy import LABELS
from deep_bottleneck.plotter.curves import layer_labels, scale_epochs
from deep_bottleneck.plotter.informationplane import COORDINATES
from deep_bottleneck.plotter.movie import Movie
from deep_bottleneck.plotter.style import CATEGORY_COLORS, SPREAD_COLOR, described, styled

FRAMES_PER_SECOND = 15
SIZE_INCHES = (8, 9.6)
DPI = 100


def load(frames_per_second: float = FRAMES_PER_SECOND) -> "InformationPlaneMovie":
    """A plotter that makes one movie for each part of the data.

    Args:
        frames_per_second: how fast the recorded epochs follow each other.

    Raises:
        ConfigError: if they do not follow each other at all, or there is no encoder.
    """
    if not frames_per_second > 0:
        raise ConfigError(
            f'"plotters": plotter.informationplane_movie got {frames_per_second} '
            "frames_per_second; it should be greater than 0"
        )
    if importlib.util.find_spec("imageio_ffmpeg") is None:
        raise ConfigError(
            '"plotters": plotter.informationplane_movie needs the package imageio-ffmpeg, which '
            "brings the encoder; pip install imageio-ffmpeg"
        )
    return InformationPlaneMovie(frames_per_second)


class InformationPlaneMovie(BasePlotter):
    """Draws every layer of every run as a point, and the accuracies at the epochs up to it."""

    def __init__(self, frames_per_second: float) -> None:
        self._frames_per_second = frames_per_second

    def plot(self, results: Results) -> dict[str, Movie]:
        """One movie `infoplane_movie_<name>` for each table that has values."""
        return {
            f"infoplane_movie_{name}": movie(table, results.metrics, self._frames_per_second)
            for name, table in results.tables.items()
            if table[COORDINATES].notna().all(axis=1).any()
        }


@styled
def movie(
    table: pd.DataFrame, metrics: pd.DataFrame, frames_per_second: float = FRAMES_PER_SECOND
) -> Movie:
    """Make a movie; nothing is drawn before its frames are asked for.

    Args:
        table: as `deep_bottleneck.measuring.estimation.estimate` gives it, with at least one value.
        metrics: columns run, epoch, accuracy, val_accuracy.
        frames_per_second: how fast the recorded epochs follow each other.
    """
    figure = Figure(figsize=SIZE_INCHES, dpi=DPI)
    figure.suptitle(f"Information plane\n{described(table.iloc[0])}", fontsize=11)
    above, below = figure.subplots(2, height_ratios=[2.6, 1])
    plane = _Plane(above, table)
    curves = _Curves(below, metrics[metrics["epoch"].isin(plane.epochs)])

    def update(frame: int) -> None:
        plane.show(frame)
        curves.show(plane.epochs[frame])

    moving = [*plane.moving, *curves.moving]
    return Movie(figure, moving, update, len(plane.epochs), frames_per_second)


class _Plane:
    """Points of all runs and layers, and a line through the layers of each run."""

    def __init__(self, axes: Axes, table: pd.DataFrame) -> None:
        coordinates = table.pivot_table(COORDINATES, "epoch", ["run", "layer"], dropna=False)
        n_layers = table["layer"].nunique()
        self.epochs = coordinates.index.tolist()
        # (epochs, runs, layers, 2)
        self._points = np.stack(
            [
                coordinates[name].to_numpy().reshape(len(self.epochs), -1, n_layers)
                for name in COORDINATES
            ],
            axis=-1,
        )
        colors = list(islice(cycle(CATEGORY_COLORS), n_layers))
        n_runs = self._points.shape[1]
        self._lines = LineCollection([], color=SPREAD_COLOR, linewidth=0.5, alpha=0.6, zorder=1)
        axes.add_collection(self._lines, autolim=False)
        start = self._points[0].reshape(-1, 2)
        self._scatter = axes.scatter(start[:, 0], start[:, 1], c=colors * n_runs, s=36, zorder=2)
        self._epoch = axes.text(0.98, 0.03, "", ha="right", transform=axes.transAxes, fontsize=14)
        self.moving = [self._lines, self._scatter, self._epoch]
        low, high = (reduce(self._points, axis=(0, 1, 2)) for reduce in (np.nanmin, np.nanmax))
        margin = 0.04 * (high - low) + 0.01
        (left, bottom), (right, top) = low - margin, high + margin
        axes.set(xlim=(left, right), ylim=(bottom, top), xlabel="I(X;M) [bits]")
        axes.set_ylabel("I(Y;M) [bits]")
        handles = [Line2D([], [], marker="o", ls="", color=color) for color in colors]
        labels = list(layer_labels(table).values())
        axes.legend(handles, labels, title="layer", loc="center left", bbox_to_anchor=(1, 0.5))

    def show(self, frame: int) -> None:
        """Move to a frame."""
        points = self._points[frame]
        self._lines.set_segments(list(points))
        self._scatter.set_offsets(points.reshape(-1, 2))
        self._epoch.set_text(f"epoch {self.epochs[frame]}")


class _Curves:
    """The mean accuracies up to an epoch, those of each run as points, and where the epoch is."""

    def __init__(self, axes: Axes, metrics: pd.DataFrame) -> None:
        by_run = [metrics.pivot_table(name, "epoch", "run", dropna=False) for name in LABELS]
        self._epochs = by_run[0].index.to_numpy()
        self._of_runs = [table.to_numpy() for table in by_run]  # each (epochs, runs)
        self._means = [table.mean(axis=1).to_numpy() for table in by_run]
        self._lines = [
            axes.plot(self._epochs, mean, label=label, color=color)[0]
            for mean, label, color in zip(
                self._means, LABELS.values(), CATEGORY_COLORS, strict=False
            )
        ]
        self._dots = [
            axes.plot([], [], "o", markersize=4, alpha=0.6, color=line.get_color())[0]
            for line in self._lines
        ]
        self._place = axes.axvline(0, color="0.4", linewidth=0.8)
        self.moving = [self._place, *self._lines, *self._dots]
        lowest = min(float(np.nanmin(values)) for values in self._of_runs)
        axes.set(xlabel="epoch", ylabel="accuracy", ylim=(lowest - 0.02, 1.02))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        scale_epochs(axes, int(self._epochs[-1]))
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))

    def show(self, epoch: int) -> None:
        """Move to an epoch."""
        end = int(np.searchsorted(self._epochs, epoch, side="right"))
        self._place.set_xdata([epoch, epoch])
        for line, dots, mean, of_runs in zip(
            self._lines, self._dots, self._means, self._of_runs, strict=True
        ):
            line.set_data(self._epochs[:end], mean[:end])
            dots.set_data(np.full(of_runs.shape[1], epoch), of_runs[end - 1])
