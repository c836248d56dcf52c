"""MI from the dependence graph of hashed inputs and activations, calibrated to be 0 by chance."""

from deep_bottleneck.information.hash_ensembles import CALIBRATED
from deep_bottleneck.mi_estimator.hashed import EdgeEstimator


def load(discretization_range: float = 1) -> EdgeEstimator:
    """EDGE with its automatic bandwidth times `discretization_range`.

    Args:
        discretization_range: the factor of the bandwidth; 1 is automatic.
    """
    return EdgeEstimator(discretization_range, CALIBRATED, "edge")
