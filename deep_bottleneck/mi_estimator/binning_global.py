"""MI by binning with a fixed number of bins over the range of a layer's activations.

The range is that of all epochs of a run, so that the same activation falls into the same bin
throughout its training. For tanh it is known beforehand, and 30 bins on [-1, 1] are the procedure
of Shwartz-Ziv & Tishby (2017, "Opening the black box of deep neural networks via information",
section 2.4).

How it fails: as `binning` does; and the bins of an unbounded activation are as wide as its largest
value makes them.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

import torch

from deep_bottleneck.errors import EstimationError
from deep_bottleneck.information.arrays import Array, as_floats
from deep_bottleneck.information.bins import equal_bins
from deep_bottleneck.interfaces import (
    Activations,
    FloatArray,
    IntArray,
    LayerInformation,
    Method,
    MutualInformationEstimator,
)
from deep_bottleneck.mi_estimator.discretized import information_of_states, whole_number_of_bins

REFERENCES = ("shwartz-ziv2017",)

_TANH_RANGE = (-1.0, 1.0)

Range = tuple[float, float]
_NOTHING_SEEN: Range = (math.inf, -math.inf)


def load(discretization_range: float = 30, activation_fn: str = "") -> MutualInformationEstimator:
    """An estimator with `discretization_range` bins, on [-1, 1] if `activation_fn` is tanh.

    Args:
        discretization_range: the number of bins.
        activation_fn: the activation of the hidden layers.

    Raises:
        ConfigError: if that is not a whole number of bins.
    """
    n_bins = whole_number_of_bins(discretization_range)
    if activation_fn == "tanh":
        return EqualBinsEstimator(n_bins, _TANH_RANGE)
    return GlobalBinningEstimator(n_bins)


class EqualBinsEstimator(MutualInformationEstimator):
    """Plug-in MI of the binned representation, with bins of equal width on a given range.

    Activations beyond the range are counted in the bins at its ends.
    """

    takes_tensors = True

    def __init__(self, n_bins: int, limits: Range) -> None:
        self.n_bins = n_bins
        self.limits = limits

    @property
    def method(self) -> Method:
        """See `MutualInformationEstimator.method`."""
        low, high = self.limits
        parameter = f"{self.n_bins} bins on [{low:g}, {high:g}]"
        return Method("binning (global)", parameter, geometric=True)

    def estimate(self, activations: FloatArray, labels: IntArray) -> LayerInformation:
        """See `MutualInformationEstimator.estimate`."""
        return information_of_states(
            activations, labels, lambda values: equal_bins(values, self.n_bins, *self.limits)
        )


class GlobalBinningEstimator(MutualInformationEstimator):
    """Equal bins between the smallest and the largest activation of a layer over all epochs.

    Each run has bins of its own. Activations that are not finite have no part in its range.

    Args:
        n_bins: how many bins.
        limits: the range of each layer and run, once a recording was seen.
        layer: which layer is estimated, once it is known.
    """

    takes_tensors = True

    def __init__(
        self,
        n_bins: int,
        limits: Mapping[int, Mapping[int, Range]] | None = None,
        layer: int | None = None,
    ) -> None:
        self.n_bins = n_bins
        self.limits = limits
        self.layer = layer

    @property
    def method(self) -> Method:
        """See `MutualInformationEstimator.method`."""
        parameter = f"{self.n_bins} bins over each layer's range"
        return Method("binning (global)", parameter, geometric=True)

    def fitted(self, activations: Activations) -> "GlobalBinningEstimator":
        """The same estimator, with the ranges of this recording, which is read once."""
        limits = {layer: _limits(activations, layer) for layer in range(activations.n_layers)}
        return GlobalBinningEstimator(self.n_bins, limits)

    def for_runs(self, runs: IntArray) -> "GlobalBinningEstimator":
        """See `MutualInformationEstimator.for_runs`; without it, all runs of the recording."""
        of_runs = {
            layer: {run: limits.get(run, _NOTHING_SEEN) for run in runs.tolist()}
            for layer, limits in (self.limits or {}).items()
        }
        return GlobalBinningEstimator(self.n_bins, self.limits and of_runs, self.layer)

    def for_layer(self, layer: int) -> "GlobalBinningEstimator":
        """See `MutualInformationEstimator.for_layer`."""
        if self.limits is None:
            raise EstimationError(
                "bins over the range of all epochs need all epochs: call fitted(recording) first"
            )
        return GlobalBinningEstimator(self.n_bins, self.limits, layer)

    def estimate(self, activations: FloatArray, labels: IntArray) -> LayerInformation:
        """Estimate a layer; before `for_layer` said which, with the range of these activations.

        See `MutualInformationEstimator.estimate`.
        """
        return information_of_states(activations, labels, self._bins)

    def _bins(self, values: torch.Tensor) -> torch.Tensor:
        if self.limits is None or self.layer is None:
            limits: Sequence[Range] = list(_ranges(values))
        else:
            limits = list(self.limits[self.layer].values())
        if len(limits) != len(values):
            raise ValueError(
                f"got activations of {len(values)} runs and the range of {len(limits)}: call "
                "for_runs(runs) first"
            )
        low, high = torch.tensor(limits, dtype=torch.float64).T
        return equal_bins(values, self.n_bins, low, high)


def _limits(activations: Activations, layer: int) -> dict[int, Range]:
    """The range of each run's activations of a layer over all epochs."""
    found: dict[int, Range] = {}
    for epoch in activations.epochs:
        ranges = _ranges(activations.layer(epoch, layer))
        for run, (low, high) in zip(activations.runs(epoch).tolist(), ranges, strict=True):
            lowest, highest = found.get(run, _NOTHING_SEEN)
            found[run] = min(low, lowest), max(high, highest)
    return dict(sorted(found.items()))


def _ranges(activations: Array) -> Iterator[Range]:
    """The smallest and the largest finite activation of each run."""
    for run in as_floats(activations):
        finite = run[torch.isfinite(run)]
        yield (float(finite.min()), float(finite.max())) if finite.numel() else _NOTHING_SEEN
