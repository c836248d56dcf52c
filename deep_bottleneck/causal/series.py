"""Information between two series of values."""

import torch

from deep_bottleneck.causal.injection.contingency import mutual_information
from deep_bottleneck.causal.injection.histogram import joint_counts
from deep_bottleneck.causal.injection.ranges import Range, checked_bins, checked_range, equal_edges
from deep_bottleneck.information.arrays import BITS_PER_NAT, Array, as_tensor


def nats_to_bits(nats: float) -> float:
    """Convert information from nats to bits."""
    return nats * BITS_PER_NAT


def MI(  # noqa: N802 - the name deep-ei uses
    x: Array,
    y: Array,
    bins: int | tuple[int, int] = 32,
    range: tuple[Range, Range] = ((0, 1), (0, 1)),  # noqa: A002 - the name NumPy uses
) -> float:
    """Mutual information of two series, from their joint histogram (plug-in).

    Args:
        x: floats, shape (n_samples,).
        y: floats of the same shape.
        bins: the number of bins of each, or a pair for x and y.
        range: (lower, upper) for x and for y; samples of which either value is outside, or NaN,
            are left out.

    Returns:
        I(x;y) in bits.

    Raises:
        ValueError: if the series are not one-dimensional and of the same length, a range or number
            of bins is wrong, or every sample is left out.
    """
    first, second = as_tensor(x).double(), as_tensor(y).double()
    if first.dim() != 1 or first.shape != second.shape or not len(first):
        raise ValueError(
            "expected two series of the same length, got shapes "
            f"{tuple(first.shape)} and {tuple(second.shape)}"
        )
    numbers = bins if isinstance(bins, tuple) else (bins, bins)
    in_edges, out_edges = (
        equal_edges(checked_range(limits, "range"), checked_bins(number, "bins"))
        for limits, number in zip(range, numbers, strict=True)
    )
    inside = _within(first, in_edges) & _within(second, out_edges)
    if not inside.any():
        raise ValueError(f"every sample is outside the ranges {range} or NaN: pass wider ones")
    inputs, outputs = first[inside].view(1, 1, -1), second[inside].view(1, 1, -1)
    counts = joint_counts(inputs, outputs, in_edges, out_edges[None])
    return float(mutual_information(counts))


def _within(values: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
    return (values >= edges[0]) & (values <= edges[-1])
