"""MI from the dependence graph of hashed inputs and activations, calibrated to be 0 by chance.

How it fails: far too small beyond two or three dimensions (1.23 of 3.68 bits in 5 + 5).
"""

from deep_bottleneck.information.hash_ensembles import CALIBRATED
from deep_bottleneck.mi_estimator.hashed import EdgeEstimator

REFERENCES = ("noshad2019",)
# the bin width that earlier configs give for every estimator; EDGE looked at no parameter then
IGNORED_PARAMETER = 0.07


def load(discretization_range: float = 1) -> EdgeEstimator:
    """EDGE with its automatic bandwidth times `discretization_range`.

    Args:
        discretization_range: the factor of the bandwidth; 1 is automatic.
    """
    return EdgeEstimator(discretization_range, CALIBRATED, "edge")
