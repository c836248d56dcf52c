"""Seconds to make a movie of the information plane: redrawing every frame against reusing it.

python -m benchmarks.movie
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg

from deep_bottleneck.plotter import informationplane_movie
from deep_bottleneck.plotter.movie import Movie

N_RUNS, N_LAYERS, TRAINED_EPOCHS = 5, 6, 8000


@dataclass(frozen=True)
class Redrawn(Movie):
    """The same movie, each of whose frames draws the whole figure."""

    def frames(self) -> Iterator[np.ndarray[Any, np.dtype[np.uint8]]]:
        """Every frame: uint8, shape (height, width, 4)."""
        canvas = FigureCanvasAgg(self.figure)
        for frame in range(self.n_frames):
            self.update(frame)
            canvas.draw()
            yield np.asarray(canvas.buffer_rgba())


def movie(n_frames: int) -> Movie:
    """A movie of random points, as large as that of the classic experiment."""
    generator = np.random.default_rng(0)
    recorded = np.unique(np.geomspace(1, TRAINED_EPOCHS, 4 * n_frames).astype(int))[-n_frames:]
    index = pd.MultiIndex.from_product(
        [range(N_RUNS), recorded, range(N_LAYERS)], names=["run", "epoch", "layer"]
    )
    table = pd.DataFrame(generator.random((len(index), 2)), index, ["MI_XM", "MI_YM"]).reset_index()
    table = table.assign(
        estimator="binning", parameter="", bounds="", geometric=True, part="train", n_examples=4096
    )
    trained = pd.MultiIndex.from_product(
        [range(N_RUNS), range(TRAINED_EPOCHS + 1)], names=["run", "epoch"]
    )
    accuracies = generator.random((len(trained), 2))
    metrics = pd.DataFrame(accuracies, trained, ["accuracy", "val_accuracy"]).reset_index()
    return informationplane_movie.movie(table, metrics)


def seconds(save: Callable[[Path], None]) -> float:
    """How long it takes to write a file."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        save(Path(folder) / "movie.mp4")
        return time.perf_counter() - start


def main() -> None:
    """Print seconds for the whole movie, and how many times faster than redrawing."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--frames", type=int, default=300)
    n_frames = options.parse_args().frames
    first, second = movie(n_frames), movie(n_frames)
    redrawn = Redrawn(
        first.figure, first.moving, first.update, first.n_frames, first.frames_per_second
    )
    baseline, ours = seconds(redrawn.save), seconds(second.save)
    print(f"{first.n_frames} frames of {N_RUNS} runs, {N_LAYERS} layers, {TRAINED_EPOCHS} epochs")
    print(f"every frame redrawn    {baseline:6.1f} s")
    print(f"artists reused         {ours:6.1f} s, {baseline / ours:.1f} times faster")


if __name__ == "__main__":
    main()
