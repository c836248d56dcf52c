"""Entropies of mixtures of Gaussians under their names of earlier years, in nats.

`mi_estimator.upper` and `mi_estimator.lower` measure with the same formulas in bits; see
`information.mixture`, with the paper.
"""

import math

import torch

from deep_bottleneck.information.arrays import BITS_PER_NAT, Array
from deep_bottleneck.information.mixture import LOWER, UPPER, pairwise_bounds


def entropy_estimator_kl(x: Array, var: float) -> float:
    """The upper bound on the entropy of examples with Gaussian noise, in nats.

    Args:
        x: floats, shape (n_examples, n_units).
        var: variance of the noise, positive.

    Raises:
        ValueError: as of `pairwise_bounds`.
    """
    return _entropy(x, var, UPPER)


def entropy_estimator_bd(x: Array, var: float) -> float:
    """The lower bound on the entropy of examples with Gaussian noise, in nats.

    Args:
        x: as for `entropy_estimator_kl`.
        var: as for `entropy_estimator_kl`.

    Raises:
        ValueError: as of `pairwise_bounds`.
    """
    return _entropy(x, var, LOWER)


def kde_condentropy(output: Array, var: float) -> float:
    """The entropy of the noise alone, in nats.

    Args:
        output: floats, shape (n_examples, n_units).
        var: variance of the noise, positive.
    """
    return output.shape[1] / 2 * (math.log(2 * math.pi * var) + 1)


def _entropy(x: Array, var: float, width: float) -> float:
    labels = torch.zeros(len(x), dtype=torch.int64)
    (bound,) = pairwise_bounds(x[None], labels, var, [width])
    return float(bound.mi_xm[0]) / BITS_PER_NAT + kde_condentropy(x, var)
