"""Time the measures of effective information against deep-ei 0.7.0, in one process.

    pip install --no-deps deep-ei==0.7.0 fast-histogram
    python -m benchmarks.effective_information

Both get the same layer, a graph made by our `topology_of`, and deep-ei its best batch size. Each
time is the best of several; the last column is how many times faster ours is.
"""

import argparse
import os
import resource
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from deep_bottleneck import causal

os.environ.setdefault("KERAS_BACKEND", "torch")

UNIT: dict[str, Any] = {"in_range": (0, 1), "out_range": (0, 1), "activation": nn.Sigmoid()}


@dataclass(frozen=True)
class Case:
    """One measure of one layer."""

    measure: str
    layer: nn.Module
    input_shape: tuple[int, ...]
    samples: int
    bins: int
    target: float
    batch_sizes: tuple[int, ...] = (1_000, 10_000, 100_000)

    @property
    def title(self) -> str:
        """What the table calls it."""
        size = "x".join(str(length) for length in self.input_shape[1:])
        kind = type(self.layer).__name__
        return f"{self.measure} {kind} {size}, {self.bins} bins, {self.samples:,} samples"


CASES = (
    Case("ei_parts", nn.Linear(30, 30, bias=False), (1, 30), 100_000, 8, 10),
    Case("ei_parts_matrix", nn.Linear(30, 30, bias=False), (1, 30), 100_000, 8, 10),
    Case("ei_parts", nn.Linear(100, 100, bias=False), (1, 100), 10_000, 8, 12),
    Case("ei_parts_matrix", nn.Linear(100, 100, bias=False), (1, 100), 10_000, 8, 12),
    Case("ei", nn.Linear(5, 5, bias=False), (1, 5), 100_000, 8, 8),
    Case("sensitivity", nn.Linear(30, 30, bias=False), (1, 30), 100_000, 8, 10),
    Case("ei_parts", nn.Conv2d(3, 16, 3, bias=False), (1, 3, 3, 3), 100_000, 8, 1),
)


def fastest(run: Callable[[], Any], repeats: int) -> float:
    """The best wall-clock time of several runs, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def compare(deep_ei: Any, case: Case, repeats: int) -> None:
    """Print one line of the table."""
    topology = causal.topology_of(case.layer, torch.zeros(case.input_shape))
    options = {**UNIT, "samples": case.samples, "in_bins": case.bins, "out_bins": case.bins}

    def measure(package: Any, batch_size: int) -> Any:
        function = getattr(package, case.measure)
        return function(case.layer, topology, batch_size=batch_size, **options)

    ours = fastest(lambda: measure(causal, 1), 3 * repeats)
    theirs = min(
        fastest(lambda size=size: measure(deep_ei, size), repeats)  # type: ignore[misc]
        for size in case.batch_sizes
        if size <= case.samples
    )
    again = fastest(lambda: measure(causal, 1), 3 * repeats)
    ours = min(ours, again)
    print(
        f"{case.title:58s} {theirs * 1e3:9.1f} ms {ours * 1e3:8.1f} ms {theirs / ours:7.1f}x"
        f"   (at least {case.target}x)",
        flush=True,
    )


def time_large(repeats: int) -> None:
    """Print what deep-ei cannot do in reasonable time."""
    layer = nn.Linear(100, 100, bias=False)
    topology = causal.topology_of(layer, torch.zeros((1, 100)))
    seconds = fastest(lambda: causal.ei_parts(layer, topology, samples=10_000, **UNIT), repeats)
    print(f"ei_parts Linear 100x100, 64 bins, 10,000 samples: {seconds:.3f} s (below 1)")
    wide = nn.Linear(1000, 1000, bias=False)
    topology = causal.topology_of(wide, torch.zeros((1, 1000)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    causal.ei_parts(wide, topology, samples=10_000, in_bins=8, out_bins=8, **UNIT)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"ei_parts Linear 1000x1000, 8 bins, 10,000 samples: {seconds:.2f} s, the process's peak "
        f"memory {peak / 2**20:.2f} GiB ({before / 2**20:.2f} before; below 2)"
    )


def print_bias(samples: int) -> None:
    """Print how far the corrected estimate from few samples is from the one from many."""
    layer = nn.Linear(100, 100, bias=False)
    topology = causal.topology_of(layer, torch.zeros((1, 100)))
    options: dict[str, Any] = {**UNIT, "in_bins": 8, "out_bins": 8, "seed": 0}

    def estimate(samples: int, correction: Any) -> float:
        value = causal.ei_parts(layer, topology, samples=samples, correction=correction, **options)
        return float(np.sum(value))

    many = estimate(samples, None)
    print(f"ei_parts Linear 100x100, 8 bins, {samples:,} samples, uncorrected: {many:.2f} bits")
    for correction in (None, "miller-madow", "grassberger", "shuffle"):
        few = estimate(10_000, correction)
        print(f"  10,000 samples, {correction}: {few:.2f} bits, {few / many - 1:+.1%}")


class Nowhere:
    """Takes what a recorder leaves."""

    def log_scalar(self, name: str, value: float, step: int) -> None:
        """Forget a value."""

    def add_artifact(self, filename: str, name: str) -> None:
        """Forget a file."""

    def append(self, name: str, rows: pd.DataFrame) -> None:
        """Forget rows of a table."""

    def add(self, name: str, table: pd.DataFrame) -> None:
        """Forget a table."""


def time_recording(epochs: int) -> None:
    """Print what an epoch of training costs, and what it costs to record it for all runs."""
    from deep_bottleneck.callbacks import effective_information
    from deep_bottleneck.datasets import iris
    from deep_bottleneck.models import feedforward
    from deep_bottleneck.training.ensemble import Ensemble
    from deep_bottleneck.training.recorder import Recorder
    from deep_bottleneck.training.schedule import default_schedule

    dataset, n_runs, batch_size, length = iris.load(), 5, 10, 2000

    def seconds(*recorders: Recorder) -> float:
        size = dataset.input_size
        models = [
            feedforward.load([5, 5], "sigmoid", "adam", 0.01, size, dataset.n_classes)
            for _ in range(n_runs)
        ]
        ensemble = Ensemble(models, seed=0)
        ensemble.fit(dataset, 1, batch_size)
        start = time.perf_counter()
        ensemble.fit(dataset, epochs, batch_size, recorders=recorders)
        return (time.perf_counter() - start) / epochs

    nowhere = Nowhere()
    recorder = effective_information.load(nowhere, nowhere, dataset, bool, 0, in_bins=5)
    training = seconds()
    recording = (seconds(recorder) - training) * epochs / (epochs - 1)  # bool leaves out epoch 0
    share = sum(map(default_schedule, range(length))) * recording / (length * training)
    print(
        f"Iris 4-5-5-3, {n_runs} runs: an epoch of training {1e3 * training:.1f} ms, recording it "
        f"{1e3 * recording:.1f} ms; over {length} epochs recording takes {share:.0%} of training"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    time_large(arguments.repeats)
    print_bias(500_000)
    time_recording(100)
    try:
        import deep_ei
    except ImportError:
        print("deep-ei is not installed: nothing to compare with")
        return
    print(f"{'':58s} {'deep-ei':>12s} {'ours':>11s} {'ratio':>8s}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in CASES:
            compare(deep_ei, case, arguments.repeats)


if __name__ == "__main__":
    main()
