"""MI by the lower bound on a representation with Gaussian noise, from pairwise distances.

How it fails: as `upper` does, less sharply.
"""

from deep_bottleneck.information.mixture import LOWER
from deep_bottleneck.mi_estimator.pairwise import PairwiseEstimator

REFERENCES = ("kolchinsky2017",)


def load(discretization_range: float = 0.001) -> PairwiseEstimator:
    """An estimator with noise of variance `discretization_range`.

    Args:
        discretization_range: the variance of the noise.
    """
    return PairwiseEstimator(discretization_range, LOWER)
