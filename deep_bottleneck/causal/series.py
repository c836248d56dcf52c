"""Information between two series of values."""

from deep_bottleneck.causal.contingency import mutual_information
from deep_bottleneck.causal.histogram import joint_counts
from deep_bottleneck.causal.ranges import Range, checked_bins, checked_range, equal_edges
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
        range: (lower, upper) for x and for y; samples outside are left out.

    Returns:
        I(x;y) in bits.

    Raises:
        ValueError: if the series are not one-dimensional and of the same length, or a range or
            number of bins is wrong.
    """
    first, second = as_tensor(x), as_tensor(y)
    if first.dim() != 1 or first.shape != second.shape or not len(first):
        raise ValueError(
            "expected two series of the same length, got shapes "
            f"{tuple(first.shape)} and {tuple(second.shape)}"
        )
    numbers = bins if isinstance(bins, tuple) else (bins, bins)
    edges = [
        equal_edges(checked_range(limits, "range"), checked_bins(number, "bins"))
        for limits, number in zip(range, numbers, strict=True)
    ]
    inside = (first >= edges[0][0]) & (first <= edges[0][-1])
    kept = first[inside].double(), second[inside].double()
    if not len(kept[0]):
        return 0.0
    counts = joint_counts(kept[0].view(1, 1, -1), kept[1].view(1, 1, -1), edges[0], edges[1][None])
    return float(mutual_information(counts))
