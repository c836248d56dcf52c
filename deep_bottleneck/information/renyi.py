"""Rényi entropy of counts, with Shannon, Hartley and min-entropy as its limits."""

import math

import torch

from deep_bottleneck.information.arrays import BITS_PER_NAT
from deep_bottleneck.information.discrete import Counts

# Nearer to 1 than this, 1 / (1 - alpha) amplifies rounding more than the limit is off.
_SHANNON_TOLERANCE = 1e-8


def renyi_entropy(counts: Counts, alpha: float = 1.0) -> torch.Tensor:
    """Rényi entropy of the empirical distribution, log2(sum p^alpha) / (1 - alpha).

    Orders with a name of their own: 0 is the Hartley entropy, log2 of the number of distinct
    states; 1, by continuity, Shannon's, -sum p log2 p; infinity the min-entropy, -log2 max p.

    Rényi, "On measures of entropy and information", Berkeley Symposium 1961.

    Args:
        counts: how often each state occurs, for a batch of problems.
        alpha: the order, 0 or above; `math.inf` is allowed.

    Returns:
        float64, shape (n_problems,), in bits.

    Raises:
        ValueError: if alpha is negative or NaN.
    """
    if not alpha >= 0:
        raise ValueError(f"the order alpha of a Rényi entropy must be 0 or above, got {alpha}")
    if alpha == 0:
        return torch.log2(counts.n_distinct.to(torch.float64))
    occurrences = counts.counts.to(torch.float64)
    if is_shannon(alpha):
        mean_logarithm = _sums(occurrences * torch.log2(occurrences), counts) / counts.n_samples
        return (math.log2(counts.n_samples) - mean_logarithm).clamp_(min=0.0)

    largest = torch.segment_reduce(occurrences, "max", lengths=counts.n_distinct)
    min_entropy = math.log2(counts.n_samples) - torch.log2(largest)
    if math.isinf(alpha):
        return min_entropy
    # Relative to the most frequent state, so that a high power does not underflow to zero.
    ratios = occurrences / largest.repeat_interleave(counts.n_distinct)
    power_sums = torch.log(_sums(ratios**alpha, counts)) * BITS_PER_NAT
    return ((power_sums - alpha * min_entropy) / (1.0 - alpha)).clamp_(min=0.0)


def is_shannon(alpha: float) -> bool:
    """Whether an order is so close to 1 that the entropy is Shannon's for all that can be told."""
    return math.isclose(alpha, 1.0, rel_tol=0.0, abs_tol=_SHANNON_TOLERANCE)


def _sums(terms: torch.Tensor, counts: Counts) -> torch.Tensor:
    return torch.segment_reduce(terms, "sum", lengths=counts.n_distinct)
