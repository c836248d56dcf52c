"""How many samples it takes: double them until the estimate settles."""

import warnings
from collections.abc import Callable
from typing import TypeVar

_FIRST = 10_000
_DOUBLINGS = 9
_NEGLIGIBLE = 0.01  # bits

Found = TypeVar("Found")


def until_settled(
    estimate: Callable[[int], Found],
    has_settled: Callable[[Found, Found], bool],
    name: str,
) -> Found:
    """Estimate with ever more samples until the estimate stays about the same.

    Args:
        estimate: from a number of samples to an estimate.
        has_settled: whether the second of two estimates, with twice the samples of the first, is
            final.
        name: how a warning calls what is estimated.

    Returns:
        The final estimate; the last one, with a warning, if it has not settled at 512 times the
        first number of samples.
    """
    samples = _FIRST
    found = estimate(samples)
    for _ in range(_DOUBLINGS):
        samples *= 2
        before, found = found, estimate(samples)
        if has_settled(before, found):
            return found
    warnings.warn(
        f"the estimate for {name} has not settled after {samples:,} samples: choose fewer bins, "
        "a higher threshold, or a number of samples",
        stacklevel=2,
    )
    return found


def relative_change_below(threshold: float) -> Callable[[float, float], bool]:
    """Whether going on at the same pace through another doubling changes less than this share."""

    def has_settled(before: float, after: float) -> bool:
        return 2 * abs(after - before) <= max(threshold * abs(after), _NEGLIGIBLE)

    return has_settled


def absolute_change_below(threshold: float) -> Callable[[float, float], bool]:
    """Whether the last doubling changed less than this many bits."""

    def has_settled(before: float, after: float) -> bool:
        return abs(after - before) < threshold

    return has_settled
