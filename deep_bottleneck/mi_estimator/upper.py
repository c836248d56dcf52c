"""MI by the upper bound on a representation with Gaussian noise, from pairwise distances.

How it fails: as `binning` does when the noise is small; I(Y;M) is a difference of bounds, and no
bound.
"""

from deep_bottleneck.information.mixture import UPPER
from deep_bottleneck.mi_estimator.pairwise import PairwiseEstimator

REFERENCES = ("kolchinsky2017",)


def load(discretization_range: float = 0.001) -> PairwiseEstimator:
    """An estimator with noise of variance `discretization_range`.

    Args:
        discretization_range: the variance of the noise.
    """
    return PairwiseEstimator(discretization_range, UPPER)
