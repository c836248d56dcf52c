"""MI by binning with a fixed number of bins over the range of a layer's activations.

The range is that of all epochs, so that the same activation falls into the same bin throughout
training. For tanh it is known beforehand, and 30 bins on [-1, 1] are the procedure of Shwartz-Ziv &
Tishby (2017, "Opening the black box of deep neural networks via information", section 2.4).

How it fails: as `binning` does; and the bins of an unbounded activation are as wide as its largest
value makes them.
"""

from collections.abc import Mapping

import numpy as np

from deep_bottleneck.errors import EstimationError
from deep_bottleneck.information.arrays import as_tensor
from deep_bottleneck.information.bins import equal_bins
from deep_bottleneck.interfaces import (
    Activations,
    FloatArray,
    IntArray,
    LayerInformation,
    Method,
    MutualInformationEstimator,
)
from deep_bottleneck.machine.threads import threads_for
from deep_bottleneck.mi_estimator.discretized import information_of_bins, whole_number_of_bins

_TANH_RANGE = (-1.0, 1.0)

Range = tuple[float, float]


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
        values = as_tensor(activations)
        with threads_for(values.numel()):
            try:
                bins = equal_bins(values, self.n_bins, *self.limits)
            except ValueError as error:
                raise EstimationError(str(error)) from error
            return information_of_bins(bins, labels)


class GlobalBinningEstimator(MutualInformationEstimator):
    """Equal bins between the smallest and the largest activation of each layer over all epochs.

    Args:
        n_bins: how many bins.
        limits: the range of each layer, once a recording was seen.
    """

    def __init__(self, n_bins: int, limits: Mapping[int, Range] | None = None) -> None:
        self.n_bins = n_bins
        self.limits = limits

    @property
    def method(self) -> Method:
        """See `MutualInformationEstimator.method`."""
        parameter = f"{self.n_bins} bins over each layer's range"
        return Method("binning (global)", parameter, geometric=True)

    def fitted(self, activations: Activations) -> "GlobalBinningEstimator":
        """The same estimator, with the ranges of this recording, which is read once.

        Activations that are not finite are left out.
        """
        limits = {layer: _limits(activations, layer) for layer in range(activations.n_layers)}
        return GlobalBinningEstimator(self.n_bins, limits)

    def for_layer(self, layer: int) -> EqualBinsEstimator:
        """See `MutualInformationEstimator.for_layer`."""
        if self.limits is None:
            raise EstimationError(
                "bins over the range of all epochs need all epochs: call fitted(recording) first"
            )
        return EqualBinsEstimator(self.n_bins, self.limits[layer])

    def estimate(self, activations: FloatArray, labels: IntArray) -> LayerInformation:
        """Estimate a layer alone, with the range of these activations.

        See `MutualInformationEstimator.estimate`.
        """
        return EqualBinsEstimator(self.n_bins, _range_of(activations)).estimate(activations, labels)


def _limits(activations: Activations, layer: int) -> Range:
    ranges = [_range_of(activations.layer(epoch, layer)) for epoch in activations.epochs]
    low = min((low for low, _ in ranges), default=np.inf)
    return low, max((high for _, high in ranges), default=-np.inf)


def _range_of(values: FloatArray) -> Range:
    finite = np.isfinite(values)
    low = np.min(values, where=finite, initial=np.inf)
    return float(low), float(np.max(values, where=finite, initial=-np.inf))
