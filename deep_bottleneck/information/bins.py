"""From continuous values to the indices of bins: of equal width on a range, or of equal mass.

Bins of a fixed width, without a range, are `discrete.bin_indices`.
"""

import math

import torch

from deep_bottleneck.information.arrays import Array, as_tensor


def equal_bins(values: Array, n_bins: int, low: float, high: float) -> torch.Tensor:
    """The index of the bin each value falls into, of equal bins between two limits.

    Bins are closed below, the last one on both sides; values beyond a limit are in the bin at it.

    Args:
        values: floats of any shape.
        n_bins: how many bins.
        low: where the first begins.
        high: where the last ends; if it is `low`, all values there share a bin.

    Returns:
        int64 of the same shape, from 0 to n_bins - 1.

    Raises:
        ValueError: if there is no bin, the limits are not ascending and finite, or a value is not
            finite.
    """
    values = _finite(values, n_bins)
    if not -math.inf < low <= high < math.inf:
        raise ValueError(f"bins need ascending and finite limits, got {low} and {high}")
    if low == high:
        return (values > low).to(torch.int64) * (n_bins - 1)
    scaled = (values.to(torch.float64) - low) * (n_bins / (high - low))
    return scaled.clamp_(0, n_bins - 1).to(torch.int64)


def quantile_bins(values: Array, n_bins: int) -> torch.Tensor:
    """The index of the bin each value falls into, of bins that hold equally many values.

    With n values in ascending order v_0 ... v_(n-1), bin k begins at v_ceil(kn / n_bins). Bins are
    closed below. Equal values share a bin, so where more of them are equal than a bin holds there
    are fewer bins, and a problem with a single value has one.

    Args:
        values: floats, shape (n_problems, ...); each problem has bins of its own.
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
    found = as_tensor(values)
    if not bool(torch.isfinite(found).all()):
        raise ValueError("cannot bin values that are NaN or infinite")
    return found
