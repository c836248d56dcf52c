"""MI from the dependence graph of hashed inputs and activations, with the published defaults.

It overestimates, by several bits in more than a few dimensions; `edge` is calibrated.
"""

from deep_bottleneck.information.hash_ensembles import PUBLISHED
from deep_bottleneck.mi_estimator.hashed import EdgeEstimator


def load(discretization_range: float = 1) -> EdgeEstimator:
    """EDGE with its published bandwidths times `discretization_range`.

    Args:
        discretization_range: the factor of the bandwidth; 1 is as published.
    """
    return EdgeEstimator(discretization_range, PUBLISHED, "edge (published)")
