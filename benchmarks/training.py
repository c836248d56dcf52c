"""Milliseconds to train one run for one epoch: `model.fit` against the ensemble.

python -m benchmarks.training
"""

import argparse
import os
import time
from collections.abc import Sequence

os.environ["KERAS_BACKEND"] = "torch"
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import keras
import torch

from deep_bottleneck.config import Config
from deep_bottleneck.datasets import harmonics
from deep_bottleneck.interfaces import Dataset
from deep_bottleneck.models import feedforward
from deep_bottleneck.training.ensemble import Ensemble

CONFIG = Config.parse({})


class Stopwatch(keras.callbacks.Callback):
    """Notes when each epoch ended."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Note the time."""
        self.ends.append(time.perf_counter())

    @property
    def fastest(self) -> float:
        """Milliseconds of the fastest epoch but the first, which traces and compiles."""
        return 1e3 * min(b - a for a, b in zip(self.ends, self.ends[1:], strict=False))


def models(dataset: Dataset, n_runs: int) -> Sequence[keras.Model]:
    """Fresh networks of the default config."""
    return [
        feedforward.load(
            CONFIG.architecture,
            CONFIG.activation_fn,
            CONFIG.optimizer,
            CONFIG.learning_rate,
            dataset.input_size,
            dataset.n_classes,
        )
        for _ in range(n_runs)
    ]


def model_fit(dataset: Dataset, epochs: int) -> float:
    """Milliseconds per epoch of Keras' own loop with one run."""
    watch = Stopwatch()
    train, test = dataset.train, dataset.test
    (model,) = models(dataset, 1)
    model.fit(
        train.examples,
        train.one_hot_labels,
        batch_size=CONFIG.batch_size,
        validation_data=(test.examples, test.one_hot_labels),
        validation_batch_size=len(test),
        epochs=epochs,
        callbacks=[watch],
        verbose=0,
    )
    return watch.fastest


def ensemble(dataset: Dataset, n_runs: int, epochs: int) -> float:
    """Milliseconds per epoch of the ensemble, for all its runs together."""
    watch = Stopwatch()
    callbacks = [[watch], *([] for _ in range(n_runs - 1))]
    Ensemble(models(dataset, n_runs), seed=0).fit(
        dataset, epochs, CONFIG.batch_size, callbacks=callbacks
    )
    return watch.fastest


def main() -> None:
    """Print a table: milliseconds per run and epoch, and how many times faster than `fit`."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=int, nargs="+", default=[1, 5, 50])
    options.add_argument("--epochs", type=int, default=15, help="epochs to choose the fastest of")
    chosen = options.parse_args()
    dataset = harmonics.load()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, batches of 256")
    baseline = model_fit(dataset, chosen.epochs)
    print(f"model.fit, 1 run        {baseline:8.2f} ms per run and epoch")
    for n_runs in chosen.runs:
        per_run = ensemble(dataset, n_runs, chosen.epochs) / n_runs
        print(
            f"ensemble, {n_runs:3d} runs      {per_run:8.2f} ms per run and epoch, "
            f"{baseline / per_run:5.1f} times faster"
        )


if __name__ == "__main__":
    main()
