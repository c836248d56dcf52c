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

Exponents are computed in float64, because large norms cancel in them, and their powers of two in
float32.
Rounding and the float32 sums over a tile change a kernel sum by less than 3e-5 of itself, so both
informations are within 1e-4 bits of the formulas, for activations up to 1e9 standard deviations of
the noise from their mean, and float32 ones at any distance; in practice, of 4000 examples, within
1e-8.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch

from deep_bottleneck.information.arrays import BITS_PER_NAT, Array, as_labels, as_layer

UPPER = 2.0
LOWER = 8.0

# 2^-40 from each of N others changes a sum of at least 1 by less than 1e-12 N, so what is farther
# apart need not be computed; powers of far less are subnormal numbers, ten times slower on a CPU.
_SMALLEST_EXPONENT = -40.0
# A tile of this many examples by as many stays near a core, for up to this many runs at a time.
_TILE = 192
_RUNS = 8
# A GPU wants more work at a time: so many by as many, up to so many exponents over all runs.
_GPU_TILE = 2048
_GPU_EXPONENTS = 2**26
# A larger error of an exponent, in float64, is avoided by computing differences first.
_LARGEST_ERROR = 1e-6


class Bound(NamedTuple):
    """I(X;M) and I(Y;M) in bits, each float64 of shape (runs,)."""

    mi_xm: torch.Tensor
    mi_ym: torch.Tensor


def pairwise_bounds(
    activations: Array, labels: Array, noise_variance: float, widths: Sequence[float]
) -> list[Bound]:
    """Bound the information in a representation with Gaussian noise.

    The matrix of distances is symmetric and computed in tiles above its diagonal, each by one
    matrix product and once for all bounds; tiles of examples that are too far apart to matter are
    left out. Besides three float64 copies of the activations, memory is
    bounded by 8 x (4 x n_examples x (n_units + 2) + 3 x 192^2) float64 numbers, for any number of
    runs; on a GPU tiles are larger, and take about 3 x 2^26 numbers, 1.5 GiB.

    Args:
        activations: floats, shape (runs, n_examples, n_units).
        labels: integers from 0, shape (n_examples,).
        noise_variance: variance v of the noise, positive.
        widths: which bounds: `UPPER`, `LOWER` or both. The width is the factor of v in the kernel.

    Returns:
        For each width the bound on I(X;M), and I(Y;M).

    Raises:
        ValueError: if an activation is not finite or too large to be told from others at this
            variance, there are no examples, or the labels or the variance do not fit.
    """
    points = as_layer(activations)
    if not 0 < noise_variance < math.inf:
        raise ValueError(f"the noise variance must be positive and finite, got {noise_variance}")
    classes = as_labels(labels, points.shape[1]).to(points.device)
    points = points.to(torch.float64)
    points = points - points.mean(dim=1, keepdim=True)
    scaled = points.mul_((BITS_PER_NAT / noise_variance) ** 0.5)
    if not math.isfinite(torch.linalg.vector_norm(scaled)):
        raise ValueError(
            "cannot measure distances of activations that are NaN, infinite or too large for a "
            f"noise variance of {noise_variance}"
        )
    ordered = _ordered(scaled, classes)
    classes = classes.sort().values
    runs = ordered.split(_runs_at_a_time(ordered))
    sums = [_kernel_sums(some, classes, widths) for some in runs]
    total, own = (torch.cat(parts, dim=1) for parts in zip(*sums, strict=True))
    mi_xm = -torch.log2(total / len(classes)).mean(dim=2)
    within = torch.log2(own / torch.bincount(classes)[classes]).mean(dim=2)
    about_input, about_label = mi_xm.clamp(min=0.0), (mi_xm + within).clamp(min=0.0)
    return [Bound(*both) for both in zip(about_input, about_label, strict=True)]


def _tile(points: torch.Tensor) -> int:
    return _TILE if points.device.type == "cpu" else _GPU_TILE


def _runs_at_a_time(points: torch.Tensor) -> int:
    if points.device.type == "cpu":
        return _RUNS
    return max(1, _GPU_EXPONENTS // min(_GPU_TILE, points.shape[1]) ** 2)


def _kernel_sums(
    points: torch.Tensor, classes: torch.Tensor, widths: Sequence[float]
) -> tuple[torch.Tensor, torch.Tensor]:
    """For each example the kernel summed over all examples, and over those of its class.

    Args:
        points: examples ordered by class and scaled such that the kernel of the upper bound is
            2^(-|a - b|^2 / 2), shape (runs, n_examples, n_units).
        classes: the class of each, shape (n_examples,).
        widths: of the kernels.

    Returns:
        Both float64, shape (n_widths, runs, n_examples).
    """
    total = points.new_zeros(len(widths), *points.shape[:2])
    own = torch.zeros_like(total)
    ordered = classes.tolist()
    smallest = _SMALLEST_EXPONENT * max(widths) / UPPER
    for rows, columns, exponents in _exponent_tiles(points, smallest):
        classes_meet = ordered[rows.stop - 1] >= ordered[columns.start]
        one_class = ordered[rows.start] == ordered[columns.stop - 1]
        for width, all_sums, own_sums in zip(widths, total, own, strict=True):
            in_place = len(widths) == 1 and width == UPPER
            kernel = exponents if in_place else exponents * (UPPER / width)
            kernel.clamp_(min=_SMALLEST_EXPONENT, max=0.0).exp2_()
            sums = _sums(rows, columns, kernel)
            _add_sums(all_sums, sums)
            if one_class:
                _add_sums(own_sums, sums)
            elif classes_meet:
                kernel.mul_(classes[rows, None] == classes[columns])
                _add_sums(own_sums, _sums(rows, columns, kernel))
    return total, own


def _ordered(points: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Examples by class, and within a class by the unit that varies most, run by run.

    So tiles hold examples that are near each other, and tiles that are far apart can be left out.
    """
    if not points.shape[2]:
        return points
    order = torch.argsort(_widest_unit(points), dim=1)
    order = order.gather(1, torch.argsort(classes[order], dim=1, stable=True))
    return points.gather(1, order[:, :, None].expand_as(points))


def _widest_unit(points: torch.Tensor) -> torch.Tensor:
    """The values of the unit that varies most in each run, shape (runs, n_examples).

    Of centred points, whose norm is in proportion to the standard deviation.
    """
    unit = torch.linalg.vector_norm(points, dim=1).argmax(dim=1)
    return points.gather(2, unit[:, None, None].expand(-1, points.shape[1], 1)).squeeze(2)


def _near(points: torch.Tensor, ranges: Sequence[slice], smallest: float) -> list[list[bool]]:
    """Which pairs of tiles may hold exponents above the smallest, by the unit that varies most."""
    if not points.shape[2]:
        return [[True] * len(ranges)] * len(ranges)
    position = _widest_unit(points)
    limits = [torch.aminmax(position[:, examples], dim=1) for examples in ranges]
    low, high = (torch.stack(each, dim=1) for each in zip(*limits, strict=True))
    gap = (low[:, None, :] - high[:, :, None]).clamp(min=0.0)
    gap = torch.maximum(gap, gap.transpose(1, 2))
    return (gap.square() / -2 > smallest).any(dim=0).tolist()


def _exponent_tiles(
    points: torch.Tensor, smallest: float
) -> Iterator[tuple[slice, slice, torch.Tensor]]:
    """Rows, columns and float32 exponents -|a - b|^2 / 2 of tiles on and above the diagonal.

    Tiles in which no exponent is above the smallest are left out.
    """
    half_norms = points.square().sum(dim=2, keepdim=True) / 2
    ones = torch.ones_like(half_norms)
    # -|a - b|^2 / 2 = a.b - |a|^2/2 - |b|^2/2, as one product of augmented factors
    left = torch.cat([points, -half_norms, ones], dim=2)
    right = torch.cat([points, ones, -half_norms], dim=2).transpose(1, 2)
    # |error| <= (terms + 2) u sum |terms|, and the terms' sum is at most 4 half norms
    unit_roundoff = torch.finfo(points.dtype).eps / 2
    error = 4.0 * (left.shape[2] + 2) * unit_roundoff * float(half_norms.max())
    n_examples = points.shape[1]
    tile = _tile(points)
    ranges = [slice(first, min(first + tile, n_examples)) for first in range(0, n_examples, tile)]
    near = _near(points, ranges, smallest)
    for index, rows in enumerate(ranges):
        for columns in itertools.compress(ranges[index:], near[index][index:]):
            if error < _LARGEST_ERROR:
                exponents = torch.bmm(left[:, rows], right[:, :, columns])
            else:
                exponents = _distances(points[:, rows], points[:, columns]).square_().div_(-2)
            yield rows, columns, exponents.to(torch.float32)


def _distances(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Euclidean distances by differences: slower than by a product, but nothing cancels."""
    return torch.cdist(left, right, compute_mode="donot_use_mm_for_euclid_dist")


def _sums(rows: slice, columns: slice, kernel: torch.Tensor) -> list[tuple[slice, torch.Tensor]]:
    """A tile's sums over its columns and, by symmetry, those of the tile mirrored."""
    over_columns = (rows, kernel.sum(dim=2))
    return [over_columns] if rows == columns else [over_columns, (columns, kernel.sum(dim=1))]


def _add_sums(total: torch.Tensor, sums: list[tuple[slice, torch.Tensor]]) -> None:
    for examples, values in sums:
        total[:, examples] += values
