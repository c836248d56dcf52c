"""MI by binning: activations fall into bins of fixed width and become discrete."""

import math

from deep_bottleneck.errors import EstimationError
from deep_bottleneck.information.arrays import as_tensor
from deep_bottleneck.information.discrete import bin_indices, mutual_information, row_keys
from deep_bottleneck.interfaces import (
    FloatArray,
    IntArray,
    LayerInformation,
    Method,
    MutualInformationEstimator,
)
from deep_bottleneck.threads import threads_for


def load(discretization_range: float) -> "BinningEstimator":
    """An estimator with bins of width `discretization_range`."""
    return BinningEstimator(bin_width=discretization_range)


class BinningEstimator(MutualInformationEstimator):
    """Plug-in MI of the binned representation.

    The network is deterministic and the inputs are distinct, so I(X;M) = H(M) and
    I(Y;M) = H(M) - H(M|Y) (Saxe et al. 2018, section 2).
    """

    def __init__(self, bin_width: float) -> None:
        self.bin_width = bin_width

    @property
    def method(self) -> Method:
        """See `MutualInformationEstimator.method`."""
        return Method("binning", f"bin width {self.bin_width:g}", geometric=True)

    def estimate(self, activations: FloatArray, labels: IntArray) -> LayerInformation:
        """See `MutualInformationEstimator.estimate`."""
        values = as_tensor(activations)
        with threads_for(values.numel()):
            try:
                keys = row_keys(bin_indices(values, self.bin_width))
            except ValueError as error:
                raise EstimationError(str(error)) from error
            entropy, about_label = mutual_information(keys, labels)
        return LayerInformation(
            entropy.cpu().numpy(), about_label.cpu().numpy(), ceiling=math.log2(len(labels))
        )
