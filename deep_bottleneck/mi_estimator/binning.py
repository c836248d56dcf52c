"""MI by binning: activations fall into bins of fixed width and become discrete.

How it fails: with many units every example is alone in its bin: I(X;M) sits at log2 N and I(Y;M) at
H(Y), whatever the layer knows (*label by chance*: 0.76 bits of 0 at 16000 pairs and 5 units).
"""

from deep_bottleneck.information.discrete import bin_indices
from deep_bottleneck.interfaces import (
    FloatArray,
    IntArray,
    LayerInformation,
    Method,
    MutualInformationEstimator,
)
from deep_bottleneck.mi_estimator.discretized import information_of_states

REFERENCES = ("saxe2018",)


def load(discretization_range: float = 0.07) -> "BinningEstimator":
    """An estimator with bins of width `discretization_range`.

    Args:
        discretization_range: the width of a bin.
    """
    return BinningEstimator(bin_width=discretization_range)


class BinningEstimator(MutualInformationEstimator):
    """Plug-in MI of the binned representation, see `information_of_states`."""

    takes_tensors = True

    def __init__(self, bin_width: float) -> None:
        self.bin_width = bin_width

    @property
    def method(self) -> Method:
        """See `MutualInformationEstimator.method`."""
        return Method("binning", f"bin width {self.bin_width:g}", geometric=True)

    def estimate(self, activations: FloatArray, labels: IntArray) -> LayerInformation:
        """See `MutualInformationEstimator.estimate`."""
        return information_of_states(
            activations, labels, lambda values: bin_indices(values, self.bin_width)
        )
