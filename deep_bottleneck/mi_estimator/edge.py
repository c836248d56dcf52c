"""MI from the dependence graph of hashed inputs and activations, calibrated to be 0 by chance."""

from deep_bottleneck.information.hash_ensembles import CALIBRATED
from deep_bottleneck.mi_estimator.hashed import EdgeEstimator


def load(discretization_range: float = 1.0) -> EdgeEstimator:
    """EDGE with its automatic bandwidth times `discretization_range`, so 1 is automatic."""
    return EdgeEstimator(discretization_range, CALIBRATED, "edge")
