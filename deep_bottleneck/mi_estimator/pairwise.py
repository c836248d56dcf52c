"""MI of a representation with Gaussian noise, bounded by pairwise distances.

The plug-ins are `mi_estimator.upper` and `mi_estimator.lower`.
"""

import math

from deep_bottleneck.errors import EstimationError
from deep_bottleneck.information.mixture import LOWER, pairwise_bounds
from deep_bottleneck.interfaces import (
    FloatArray,
    IntArray,
    LayerInformation,
    Method,
    MutualInformationEstimator,
)


class PairwiseEstimator(MutualInformationEstimator):
    """The bound of Kolchinsky & Tracey for one divergence."""

    takes_tensors = True

    def __init__(self, noise_variance: float, width: float) -> None:
        self.noise_variance = noise_variance
        self.width = width

    @property
    def method(self) -> Method:
        """See `MutualInformationEstimator.method`."""
        bound = "lower" if self.width == LOWER else "upper"
        parameter = f"noise variance {self.noise_variance:g}"
        return Method(bound, parameter, f"{bound} bound", geometric=True)

    def estimate(self, activations: FloatArray, labels: IntArray) -> LayerInformation:
        """See `MutualInformationEstimator.estimate`."""
        try:
            (bound,) = pairwise_bounds(activations, labels, self.noise_variance, [self.width])
        except ValueError as error:
            raise EstimationError(str(error)) from error
        return LayerInformation(
            bound.mi_xm.cpu().numpy(), bound.mi_ym.cpu().numpy(), ceiling=math.log2(len(labels))
        )
