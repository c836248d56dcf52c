"""Time of one layer and epoch: our estimators against plain NumPy of the same formulas.

python -m benchmarks.estimators
"""

import argparse
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from benchmarks.timing import milliseconds
from deep_bottleneck.interfaces import FloatArray, IntArray, LayerInformation
from deep_bottleneck.mi_estimator import binning, upper

N_RUNS, N_EXAMPLES, N_UNITS = 5, 4096, 10
WIDTH = 0.07
VARIANCE = 0.01


def binning_in_numpy(activations: FloatArray, labels: IntArray) -> tuple[float, float]:
    """Binned MI of one run, as it is usually written: unique rows of a void view."""
    bins = np.floor(activations / WIDTH).astype(np.int64)

    def entropy(rows: IntArray) -> float:
        void = np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))
        _, counts = np.unique(np.ascontiguousarray(rows).view(void), return_counts=True)
        p = counts / counts.sum()
        return float(-(p * np.log2(p)).sum())

    total = entropy(bins)
    given = sum(np.mean(labels == y) * entropy(bins[labels == y]) for y in np.unique(labels))
    return total, total - given


def upper_in_numpy(activations: FloatArray, labels: IntArray) -> tuple[float, float]:
    """The upper bound of one run, with the whole matrix of distances at once."""

    def information(points: FloatArray) -> float:
        points = points.astype(np.float64)
        norms = (points**2).sum(axis=1)
        distances = norms[:, None] + norms[None, :] - 2 * points @ points.T
        return float(-np.log2(np.exp(-distances / (2 * VARIANCE)).mean(axis=1)).mean())

    total = information(activations)
    given = sum(
        np.mean(labels == y) * information(activations[labels == y]) for y in np.unique(labels)
    )
    return total, total - given


def _all_runs(
    reference: Callable[[FloatArray, IntArray], tuple[float, float]],
    activations: FloatArray,
    labels: IntArray,
) -> None:
    for run in activations:
        reference(run, labels)


def main() -> None:
    """Print a table: milliseconds for each run's layer and epoch, the ratio, the difference."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=7, help="how often to time each function")
    options.add_argument("--threads", type=int, default=1, help="threads for torch")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    generator = np.random.default_rng(0)
    raw = generator.standard_normal((N_RUNS, N_EXAMPLES, N_UNITS))
    activations = np.tanh(raw).astype(np.float32)
    labels = (activations[0].sum(axis=1) > 0).astype(np.int64)
    print(f"{N_EXAMPLES} x {N_UNITS} activations, {N_RUNS} runs at once, {chosen.threads} threads")
    print(f"{'':10}{'ours [ms]':>12}{'numpy [ms]':>12}{'ratio':>8}{'difference [bits]':>20}")
    for name, estimator, reference, calls in (
        ("binning", binning.load(WIDTH), binning_in_numpy, 10),
        ("upper", upper.load(VARIANCE), upper_in_numpy, 1),
    ):
        ours: LayerInformation = estimator.estimate(activations, labels)
        expected = np.array([reference(run, labels) for run in activations]).T
        difference = np.abs(np.array([ours.mi_xm, ours.mi_ym]) - expected).max()
        times = milliseconds(
            {
                "ours": partial(estimator.estimate, activations, labels),
                "numpy": partial(_all_runs, reference, activations, labels),
            },
            chosen.rounds,
            calls,
        )
        ours_ms, numpy_ms = times["ours"] / N_RUNS, times["numpy"] / N_RUNS
        print(
            f"{name:10}{ours_ms:12.3f}{numpy_ms:12.3f}{numpy_ms / ours_ms:8.1f}{difference:20.1e}"
        )


if __name__ == "__main__":
    main()
