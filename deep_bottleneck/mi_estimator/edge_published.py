"""MI from the dependence graph of hashed inputs and activations, with the published defaults.

How it fails: far too large: 1.5 bits for independent numbers, 5 for independent vectors; to compare
with published figures only. `edge` is calibrated.
"""

from deep_bottleneck.information.hash_ensembles import PUBLISHED
from deep_bottleneck.mi_estimator.hashed import EdgeEstimator

REFERENCES = ("noshad2019",)
# the bin width that earlier configs give for every estimator; EDGE looked at no parameter then
IGNORED_PARAMETER = 0.07


def load(discretization_range: float = 1) -> EdgeEstimator:
    """EDGE with its published bandwidths times `discretization_range`.

    Args:
        discretization_range: the factor of the bandwidth; 1 is as published.
    """
    return EdgeEstimator(discretization_range, PUBLISHED, "edge (published)")
