"""Which hashes an estimate by EDGE averages over: their bandwidths, number and weights."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from scipy.stats import norm

# A hash of balanced bandwidths has about N^(3/8) values, so that a joint cell of independent
# variables holds N^(1/4) samples on average.
_BALANCED_SHARE = 3 / 8
# From here up the cells of a Gaussian are counted; below, its entropy is linear in log2 of them.
_COARSE = 0.5
_GAUSSIAN_BITS = 0.5 * math.log2(2 * math.pi * math.e)

Weights = Literal["average", "median", "optimal"]


def published_bandwidths(n_samples: int, n_dimensions: torch.Tensor) -> torch.Tensor:
    """The paper's rate N^(-1/2d), in standard deviations of each dimension.

    Args:
        n_samples: N.
        n_dimensions: d, of any shape, at least 1.

    Returns:
        float64 of the shape of d.
    """
    return torch.exp2(-math.log2(n_samples) / (2.0 * n_dimensions.to(torch.float64)))


def balanced_bandwidths(n_samples: int, n_dimensions: torch.Tensor) -> torch.Tensor:
    """The bandwidth whose hash has 3/8 log2 N bits, in standard deviations of each dimension.

    This is the entropy that the hash of d independent Gaussians has at this bandwidth. Dependent
    dimensions have less, so their cells hold more samples.

    Args:
        n_samples: N.
        n_dimensions: d, of any shape, at least 1.

    Returns:
        float64 of the shape of d.
    """
    bits = _BALANCED_SHARE * math.log2(n_samples) / n_dimensions.to(torch.float64)
    coarse, coarse_bits = _coarse_gaussian_bits()
    interpolated = np.interp(-bits.cpu().numpy(), -coarse_bits, coarse)
    fine = torch.exp2(_GAUSSIAN_BITS - bits)
    return torch.where(fine < _COARSE, fine, torch.from_numpy(interpolated).to(bits.device))


@dataclass(frozen=True)
class Ensemble:
    """Which hashes to use, and how to combine their estimates.

    Attributes:
        bandwidths: from N and d the bandwidth in standard deviations of each dimension.
        scales: the factors t of the bandwidth, one for each hash of the ensemble.
        weights: how the estimates are combined: "average", "median" or, after the paper, "optimal".
        upper_bound: the largest log2 of an edge's weight, U in bits; None for log2 N.
        adjusted: whether to take away what independent variables of the same marginals would show.
        seed: of the random shifts.
    """

    bandwidths: Callable[[int, torch.Tensor], torch.Tensor]
    scales: tuple[float, ...]
    weights: Weights
    upper_bound: float | None = None
    adjusted: bool = False
    seed: int = 0

    def ceiling(self, n_samples: int) -> float:
        """The largest estimate for so many samples, in bits."""
        most = math.log2(n_samples)
        return most if self.upper_bound is None else min(most, self.upper_bound)


# What users of EDGE know: U = 10 and the median of five bandwidths. The cells are so fine that most
# joint ones hold a single sample, so it overestimates, and says several bits of independent pairs.
PUBLISHED = Ensemble(published_bandwidths, (1.0, 2.0, 3.0, 4.0, 5.0), "median", upper_bound=10.0)
# Coarse enough to count, and 0 on average for independent variables; an underestimate where the
# information is in details or in many dimensions.
CALIBRATED = Ensemble(balanced_bandwidths, (1.0,) * 8, "average", adjusted=True)


@functools.lru_cache(maxsize=1)
def _coarse_gaussian_bits() -> tuple[np.ndarray, np.ndarray]:
    """Bandwidths, and the bits of a standard normal cut at each, the mean over shifts."""
    bandwidths = np.geomspace(_COARSE, 2.0**12, 400)
    shifts = (np.arange(32) + 0.5) / 32
    cuts = np.arange(-20, 21)[:, None, None] + shifts[:, None]
    cells = np.diff(norm.cdf(cuts * bandwidths), axis=0)
    terms = -cells * np.log2(cells, where=cells > 0, out=np.zeros_like(cells))
    return bandwidths, terms.sum(axis=0).mean(axis=0)
