"""MI by binning with bins of equal mass, made anew for each layer, epoch and run.

Chelombiev, Houghton & O'Donnell (2019, "Adaptive estimators show information compression in deep
neural networks", ICLR, section 3) let bins follow the activations, because bins of fixed width see
an unbounded activation function grow out of them.

How it fails: as `binning` does; scale is divided out, so growing weights show no compression.
"""

from deep_bottleneck.information.bins import quantile_bins
from deep_bottleneck.interfaces import (
    FloatArray,
    IntArray,
    LayerInformation,
    Method,
    MutualInformationEstimator,
)
from deep_bottleneck.mi_estimator.discretized import information_of_states, whole_number_of_bins

REFERENCES = ("chelombiev2019",)


def load(discretization_range: float = 30) -> "AdaptiveBinningEstimator":
    """An estimator with `discretization_range` bins.

    Args:
        discretization_range: the number of bins.

    Raises:
        ConfigError: if that is not a whole number of bins.
    """
    return AdaptiveBinningEstimator(whole_number_of_bins(discretization_range))


class AdaptiveBinningEstimator(MutualInformationEstimator):
    """Plug-in MI of the binned representation, with bins as `quantile_bins` makes them.

    All units of a layer share the bins, whose edges are quantiles of the layer's activations over
    all units and examples.
    """

    takes_tensors = True

    def __init__(self, n_bins: int) -> None:
        self.n_bins = n_bins

    @property
    def method(self) -> Method:
        """See `MutualInformationEstimator.method`."""
        return Method("binning (adaptive)", f"{self.n_bins} bins of equal mass", geometric=True)

    def estimate(self, activations: FloatArray, labels: IntArray) -> LayerInformation:
        """See `MutualInformationEstimator.estimate`."""
        return information_of_states(
            activations, labels, lambda values: quantile_bins(values, self.n_bins)
        )
