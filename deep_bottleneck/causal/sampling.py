"""How many samples it takes: doubled until the estimate settles, or extrapolated to infinity."""

import warnings
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from deep_bottleneck.causal.injection.channel import Channel
from deep_bottleneck.causal.injection.edges import edge_information

_FIRST = 10_000
_DOUBLINGS = 9
_NEGLIGIBLE = 0.01  # bits
_PARTS = (16, 8, 4, 2, 1)
SMALLEST_PART = max(_PARTS)

Found = TypeVar("Found")


def until_settled(
    estimate: Callable[[int], Found],
    bits: Callable[[Found], float],
    has_settled: Callable[[float, float], bool],
    name: str,
) -> Found:
    """Estimate with ever more samples until the estimate stays about the same.

    Args:
        estimate: from a number of samples to an estimate.
        bits: what of an estimate has to settle.
        has_settled: whether the second of two values, with twice the samples of the first, is
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
        if has_settled(bits(before), bits(found)):
            return found
    warnings.warn(
        f"the estimate for {name} has not settled after {samples:,} samples: choose fewer bins, "
        "a higher threshold, or a number of samples",
        stacklevel=2,
    )
    return found


def relative_change_below(threshold: float) -> Callable[[float, float], bool]:
    """Whether going on at the same pace through another doubling changes less than this share."""
    _check(threshold)

    def has_settled(before: float, after: float) -> bool:
        return 2 * abs(after - before) <= max(threshold * abs(after), _NEGLIGIBLE)

    return has_settled


def absolute_change_below(threshold: float) -> Callable[[float, float], bool]:
    """Whether the last doubling changed less than this many bits."""
    _check(threshold)

    def has_settled(before: float, after: float) -> bool:
        return abs(after - before) < threshold

    return has_settled


def at_infinity(channel: Channel, samples: int, seed: int) -> tuple[float, float]:
    """EI_parts without finite-sample bias, by extrapolation.

    The plug-in estimate is a + b/N + c/N^2 with N samples (Strong et al. 1998, "Entropy and
    information in neural spike trains"); fitted by least squares, weighted by N.

    Args:
        channel: the layer.
        samples: the largest number of samples, at least 32, so that the smallest, a sixteenth of
            it, is 2.
        seed: the seed of the noise.

    Returns:
        The estimate a in bits and its standard error.
    """
    sizes = np.array([samples // part for part in _PARTS])
    estimates = np.array(
        [
            float(edge_information(channel, int(size), seed=seed + index).total)
            for index, size in enumerate(sizes)
        ]
    )
    terms = np.stack([np.ones(len(sizes)), samples / sizes, (samples / sizes) ** 2], axis=1)
    weights = np.sqrt(sizes / samples)[:, None]
    # the estimates' errors are taken to be independent, of variance sigma^2 / N
    design, target = terms * weights, estimates * weights[:, 0]
    fitted, *_ = np.linalg.lstsq(design, target, rcond=None)
    variance = np.square(target - design @ fitted).sum() / (len(sizes) - terms.shape[1])
    covariance = np.linalg.inv(design.T @ design) * variance
    return float(fitted[0]), float(np.sqrt(covariance[0, 0]))


def _check(threshold: float) -> None:
    if not threshold >= 0:
        raise ValueError(f"threshold must be a number that is not negative, got {threshold}")
