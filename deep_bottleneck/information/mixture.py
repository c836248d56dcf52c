"""Bounds on the information in a noisy representation, from pairwise distances.

With Gaussian noise of variance v added to it, a layer's representation of N equally likely inputs
is a mixture of N Gaussians. Kolchinsky & Tracey (2017, "Estimating mixture entropy with pairwise
distances", Entropy 19(7), 361) bound its entropy by the pairwise divergences of its components:
with the Kullback-Leibler divergence from above (their eq. 10), with the Bhattacharyya distance from
below (their eq. 13). Less the entropy of the noise, and in bits::

    I(X;M) <= -1/N sum_i log2 1/N sum_j exp(-|m_i - m_j|^2 / 2v)     (upper)
    I(X;M) >= -1/N sum_i log2 1/N sum_j exp(-|m_i - m_j|^2 / 8v)     (lower)

and I(Y;M) = I(X;M) - sum_y p(y) I(X;M | Y=y), as in Saxe et al. (2018, section 2). The difference
of two bounds is an estimate, not a bound.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch

from deep_bottleneck.information.arrays import Array, as_tensor

# exp(-60) from each of N others changes a sum of at least 1 by less than 1e-20 N.
_SMALLEST_EXPONENT = -60.0
# A tile of exponents stays in a core's cache.
_TILE = 256
# float32 products of this size err by about 1e-4 in the exponent.
_LARGEST_FOR_FLOAT32 = 500.0

UPPER = 2.0
LOWER = 8.0


class Bound(NamedTuple):
    """I(X;M) and I(Y;M) in bits, each float64 of shape (runs,)."""

    mi_xm: torch.Tensor
    mi_ym: torch.Tensor


def pairwise_bound(
    activations: Array, labels: Array, noise_variance: float, width: float = UPPER
) -> Bound:
    """Bound the information in a representation with Gaussian noise.

    The matrix of distances is symmetric and computed in tiles above its diagonal, each by one
    matrix product, so memory is bounded by runs x (3 x n_examples x n_units + 256^2)
    numbers. float32 is used where its error stays below about 1e-4 bits, else float64.

    Args:
        activations: floats, shape (runs, n_examples, n_units).
        labels: integers from 0, shape (n_examples,).
        noise_variance: variance v of the noise, positive.
        width: `UPPER` for the upper bound, `LOWER` for the lower.

    Returns:
        The bound on I(X;M), and I(Y;M).

    Raises:
        ValueError: if an activation is not finite, there are no examples, or the labels or the
            variance do not fit.
    """
    points = as_tensor(activations).to(torch.float64)
    classes = as_tensor(labels).to(points.device)
    _check(points, classes, noise_variance)
    points = points - points.mean(dim=1, keepdim=True)
    scaled = points * (2.0 / (width * noise_variance)) ** 0.5
    half_norms = scaled.square().sum(dim=2, keepdim=True) / 2
    if float(half_norms.max()) < _LARGEST_FOR_FLOAT32:
        scaled, half_norms = scaled.float(), half_norms.float()
    by_class = torch.argsort(classes, stable=True)
    sizes = torch.bincount(classes)
    total, own = _kernel_sums(scaled[:, by_class], half_norms[:, by_class], sizes.tolist())
    mi_xm = -torch.log2(total / points.shape[1]).mean(dim=1)
    within = torch.log2(own / sizes[classes[by_class]])
    return Bound(mi_xm, mi_xm + within.mean(dim=1))


def _kernel_sums(
    scaled: torch.Tensor, half_norms: torch.Tensor, class_sizes: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """For each example the kernel summed over all examples, and over those of its class.

    Args:
        scaled: the examples ordered by class, shape (runs, n_examples, n_units).
        half_norms: half their squared norms, shape (runs, n_examples, 1).
        class_sizes: how many examples each class has.
    """
    ones = torch.ones_like(half_norms)
    # -|a - b|^2 / 2 = a.b - |a|^2/2 - |b|^2/2, as one product of augmented factors
    left = torch.cat([scaled, -half_norms, ones], dim=2)
    right = torch.cat([scaled, ones, -half_norms], dim=2).transpose(1, 2)
    total = torch.zeros(scaled.shape[:2], dtype=torch.float64, device=scaled.device)
    own = torch.zeros_like(total)
    tiles = list(_tiles(class_sizes))
    for index, (row_class, rows) in enumerate(tiles):
        for column_class, columns in tiles[index:]:
            kernel = torch.bmm(left[:, rows], right[:, :, columns])
            kernel.clamp_(min=_SMALLEST_EXPONENT, max=0.0).exp_()
            sums = [(rows, kernel.sum(dim=2))]
            if columns is not rows:
                sums.append((columns, kernel.sum(dim=1)))
            for examples, values in sums:
                total[:, examples] += values
                if row_class == column_class:
                    own[:, examples] += values
    return total, own


def _tiles(class_sizes: Sequence[int]) -> Iterator[tuple[int, slice]]:
    """Ranges of examples of one class each, with their class."""
    start = 0
    for label, size in enumerate(class_sizes):
        for first in range(start, start + size, _TILE):
            yield label, slice(first, min(first + _TILE, start + size))
        start += size


def _check(points: torch.Tensor, classes: torch.Tensor, noise_variance: float) -> None:
    if not noise_variance > 0:
        raise ValueError(f"the noise variance must be positive, got {noise_variance}")
    if points.shape[1] == 0:
        raise ValueError("cannot measure a representation of no examples")
    if classes.shape != points.shape[1:2]:
        raise ValueError(
            f"expected one label for each of {points.shape[1]} examples, got labels of shape "
            f"{tuple(classes.shape)}"
        )
    if not bool(torch.isfinite(points).all()):
        raise ValueError("cannot measure distances of activations that are NaN or infinite")
