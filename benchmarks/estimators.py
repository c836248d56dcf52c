"""Time of one layer and epoch: our estimators against plain code for the same formulas.

Binning and the pairwise bounds are compared with NumPy, EDGE with the published algorithm in Python
dictionaries, on the same hash functions. Our two bounds share their distances; in NumPy, as usually
written, each computes its own.

python -m benchmarks.estimators
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
import torch

from benchmarks.edge_reference import estimate_in_python
from benchmarks.timing import milliseconds
from deep_bottleneck.information.hash_ensembles import PUBLISHED
from deep_bottleneck.information.mixture import LOWER, UPPER, pairwise_bounds
from deep_bottleneck.interfaces import (
    Activations,
    Bits,
    FloatArray,
    IntArray,
    LayerInformation,
)
from deep_bottleneck.mi_estimator import binning, edge_published, upper

N_RUNS, N_EXAMPLES, N_UNITS, N_INPUTS = 5, 4096, 10, 12
WIDTH = 0.07
VARIANCE = 0.01

Estimate = Callable[[FloatArray, IntArray], Bits]
Reference = Callable[[FloatArray, IntArray], tuple[float, ...]]


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


def bound_in_numpy(width: float, activations: FloatArray, labels: IntArray) -> tuple[float, float]:
    """A pairwise bound of one run, with the whole matrix of distances at once."""

    def information(points: FloatArray) -> float:
        points = points.astype(np.float64)
        norms = (points**2).sum(axis=1)
        distances = norms[:, None] + norms[None, :] - 2 * points @ points.T
        return float(-np.log2(np.exp(-distances / (width * VARIANCE)).mean(axis=1)).mean())

    total = information(activations)
    given = sum(
        np.mean(labels == y) * information(activations[labels == y]) for y in np.unique(labels)
    )
    return total, total - given


def both_in_numpy(activations: FloatArray, labels: IntArray) -> tuple[float, ...]:
    """Both bounds of one run, one after the other."""
    above = bound_in_numpy(UPPER, activations, labels)
    return *above, *bound_in_numpy(LOWER, activations, labels)


def both_bounds(activations: FloatArray, labels: IntArray) -> Bits:
    """Both bounds of all runs."""
    bounds = pairwise_bounds(activations, labels, VARIANCE, [UPPER, LOWER])
    return np.stack([information.numpy() for bound in bounds for information in bound])


@dataclass
class Inputs:
    """A recording of which nothing but the inputs is read."""

    examples: FloatArray


def _bits(measured: LayerInformation) -> Bits:
    return np.stack([measured.mi_xm, measured.mi_ym])


def binned(activations: FloatArray, labels: IntArray) -> Bits:
    """Binned MI of all runs."""
    return _bits(binning.load(WIDTH).estimate(activations, labels))


def upper_bound(activations: FloatArray, labels: IntArray) -> Bits:
    """The upper bound of all runs."""
    return _bits(upper.load(VARIANCE).estimate(activations, labels))


def edge(examples: FloatArray, activations: FloatArray, labels: IntArray) -> Bits:
    """EDGE of all runs, the inputs hashed anew."""
    recording = cast(Activations, Inputs(examples))
    return _bits(edge_published.load(1.0).fitted(recording).estimate(activations, labels))


def edge_in_python(
    examples: FloatArray, activations: FloatArray, labels: IntArray
) -> tuple[float, float]:
    """EDGE of one run, in dictionaries."""
    return estimate_in_python(examples, activations, labels, PUBLISHED)


def _all_runs(reference: Reference, activations: FloatArray, labels: IntArray) -> None:
    for run in activations:
        reference(run, labels)


def main() -> None:
    """Print a table: milliseconds for each run's layer and epoch, the ratio, the difference."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=7, help="how often to time each function")
    options.add_argument("--threads", type=int, default=1, help="threads for torch")
    options.add_argument("--only", help="one row, by its name")
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    generator = np.random.default_rng(0)
    examples = generator.choice([-1.0, 1.0], (N_EXAMPLES, N_INPUTS)).astype(np.float32)
    raw = generator.standard_normal((N_RUNS, N_EXAMPLES, N_UNITS))
    activations = np.tanh(raw).astype(np.float32)
    labels = (activations[0].sum(axis=1) > 0).astype(np.int64)
    rows: dict[str, tuple[Estimate, Reference]] = {
        "binning": (binned, binning_in_numpy),
        "upper": (upper_bound, partial(bound_in_numpy, UPPER)),
        "both bounds": (both_bounds, both_in_numpy),
        "edge": (partial(edge, examples), partial(edge_in_python, examples)),
    }
    print(
        f"{N_EXAMPLES} x {N_UNITS} activations, {N_RUNS} runs at once, {chosen.threads} threads; "
        "milliseconds a run, fastest and median"
    )
    print(f"{'':12}{'ours':>18}{'reference':>22}{'ratio':>16}{'difference [bits]':>20}")
    for name, (estimate, reference) in rows.items():
        if chosen.only not in (None, name):
            continue
        ours = estimate(activations, labels)
        expected = np.array([reference(run, labels) for run in activations]).T
        difference = np.abs(ours - expected).max()
        times = milliseconds(
            {
                "ours": partial(estimate, activations, labels),
                "reference": partial(_all_runs, reference, activations, labels),
            },
            chosen.rounds,
        )
        fast, slow = times["ours"], times["reference"]
        print(
            f"{name:12}{fast.fastest / N_RUNS:9.3f}{fast.median / N_RUNS:9.3f}"
            f"{slow.fastest / N_RUNS:11.3f}{slow.median / N_RUNS:11.3f}"
            f"{slow.fastest / fast.fastest:8.1f}{slow.median / fast.median:8.1f}{difference:20.1e}"
        )


if __name__ == "__main__":
    main()
