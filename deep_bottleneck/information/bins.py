"""From continuous values to the indices of bins: of equal width on a range, or of equal mass.

Bins of a fixed width, without a range, are `discrete.bin_indices`.
"""

import math

import torch

from deep_bottleneck.information.arrays import Array, as_floats

Limit = float | torch.Tensor


def equal_bins(values: Array, n_bins: int, low: Limit, high: Limit) -> torch.Tensor:
    """The index of the bin each value falls into, of equal bins between two limits.

    Bins are closed below, the last one on both sides; values beyond a limit are in the bin at it.

    Args:
        values: numbers of any shape, or of shape (n_problems, ...).
        n_bins: how many bins.
        low: where the first begins: a number, or for each problem one, shape (n_problems,).
        high: where the last ends; if it is `low`, all values there share a bin.

    Returns:
        int64 of the same shape, from 0 to n_bins - 1.

    Raises:
        ValueError: if there is no bin, the limits are not ascending and finite, or a value is not
            finite.
    """
    values = _finite(values, n_bins).to(torch.float64)
    first, last = (_for_each_problem(limit, values) for limit in (low, high))
    width = last - first
    for one_first, one_last, one_width in zip(
        *map(torch.flatten, (first, last, width)), strict=True
    ):
        if not 0 <= one_width < math.inf:
            raise ValueError(
                f"bins need ascending and finite limits, got {one_first} and {one_last}"
            )
    # where the limits meet, 0 times infinity is the value between them
    scaled = ((values - first) * (n_bins / width)).nan_to_num_(nan=0.0)
    return scaled.clamp_(0, n_bins - 1).to(torch.int64)


def quantile_bins(values: Array, n_bins: int) -> torch.Tensor:
    """The index of the bin each value falls into, of bins that hold equally many values.

    With n values in ascending order v_0 ... v_(n-1), bin k begins at v_ceil(kn / n_bins). Bins are
    closed below. Equal values share a bin, so where more of them are equal than a bin holds there
    are fewer bins, and a problem with a single value has one.

    Args:
        values: numbers, shape (n_problems, ...); each problem has bins of its own.
        n_bins: how many bins.

    Returns:
        int64 of the same shape, from 0 to n_bins - 1.

    Raises:
        ValueError: if there is no bin, or a value is not finite.
    """
    values = _finite(values, n_bins)
    flat = values.reshape(len(values), math.prod(values.shape[1:]))
    if not flat.numel():
        return torch.zeros_like(values, dtype=torch.int64)
    starts = [-(-k * flat.shape[1] // n_bins) for k in range(1, n_bins)]
    last = flat.shape[1] - 1
    places = torch.tensor([min(start, last) for start in starts], device=flat.device)
    edges = torch.sort(flat, dim=1).values[:, places.to(torch.int64)].contiguous()
    return torch.searchsorted(edges, flat.contiguous(), right=True).view(values.shape)


def _finite(values: Array, n_bins: int) -> torch.Tensor:
    if n_bins < 1:
        raise ValueError(f"expected at least one bin, got {n_bins}")
    found = as_floats(values)
    if not bool(torch.isfinite(found).all()):
        raise ValueError("cannot bin values that are NaN or infinite")
    return found


def _for_each_problem(limit: Limit, values: torch.Tensor) -> torch.Tensor:
    """A limit in a shape that meets all values, or the values of each problem."""
    limits = torch.as_tensor(limit, dtype=torch.float64, device=values.device)
    return limits.reshape(-1, *[1] * (values.ndim - 1)) if limits.ndim else limits
