"""How many points lie closer to each point than a radius of its own, in the maximum norm.

In this norm a neighbourhood is an interval in every coordinate, and an interval is a range of the
points sorted by that coordinate. With one bit for each point, a range is the difference of two
prefixes of the sorted order, the neighbourhood is the intersection of the ranges, and its size is
the number of bits set: 64 points in one operation, exactly, and without computing a distance.
"""

from typing import Any

import numpy as np
import torch

_Vector = np.ndarray[Any, np.dtype[np.float64]]
_Matrix = np.ndarray[tuple[int, int], np.dtype[np.float64]]
_Indices = np.ndarray[Any, np.dtype[np.intp]]
_Words = np.ndarray[tuple[int, int], np.dtype[np.uint64]]

_WORD = 64
# So many points are compared at a time that the prefixes of their order stay in a core's cache.
_CHUNK = 1024
# Distances in a tile on a GPU.
_GPU_TILE = 2**25


def count_closer(points: torch.Tensor, radii: torch.Tensor) -> torch.Tensor:
    """For each point the number of points, itself included, at a distance below its radius.

    On a CPU memory is bounded by 0.5 KiB for each point, on a GPU by tiles of 2^25 distances.

    Args:
        points: float64, shape (n_points, n_units), finite.
        radii: float64, shape (n_points,), positive.

    Returns:
        int64, shape (n_points,).
    """
    if points.device.type == "cpu":
        return torch.from_numpy(_count_by_bits(points.numpy(), radii.numpy()))
    return count_by_distances(points, radii)


def count_by_distances(points: torch.Tensor, radii: torch.Tensor) -> torch.Tensor:
    """The same by computing all distances, in tiles: the way of a GPU."""
    tiles = zip(
        *(values.split(max(1, _GPU_TILE // len(points))) for values in (points, radii)),
        strict=True,
    )
    counts = [
        (torch.cdist(rows, points, p=torch.inf) < within[:, None]).sum(dim=1)
        for rows, within in tiles
    ]
    return torch.cat(counts)


def _count_by_bits(points: _Matrix, radii: _Vector) -> _Indices:
    if points.shape[1] == 1:
        _, first, last = _ranges(points[:, 0], points[:, 0], radii)
        return last - first
    counts = np.zeros(len(points), dtype=np.int64)
    n_words = -(-min(_CHUNK, len(points)) // _WORD)
    # written to again and again, since new memory costs more than what is computed in it
    within, upper, lower = np.empty((3, len(points), n_words), dtype=np.uint64)
    for start in range(0, len(points), _CHUNK):
        chunk = points[start : start + _CHUNK]
        within.fill(np.iinfo(np.uint64).max)
        for values, centres in zip(chunk.T, points.T, strict=True):
            order, first, last = _ranges(values, centres, radii)
            prefixes = _prefixes(order, n_words)
            np.take(prefixes, last, axis=0, out=upper, mode="clip")
            np.take(prefixes, first, axis=0, out=lower, mode="clip")
            upper ^= lower
            within &= upper
        counts += np.bitwise_count(within).sum(axis=1, dtype=np.int64)
    return counts


def _prefixes(order: _Indices, n_words: int) -> _Words:
    """Row n has the bits of the first n in the order set."""
    prefixes = np.zeros((len(order) + 1, n_words), dtype=np.uint64)
    word, bit = np.divmod(order, _WORD)
    prefixes[np.arange(1, len(order) + 1), word] = np.uint64(1) << bit.astype(np.uint64)
    np.bitwise_or.accumulate(prefixes, axis=0, out=prefixes)
    return prefixes


def _ranges(
    values: _Vector, centres: _Vector, radii: _Vector
) -> tuple[_Indices, _Indices, _Indices]:
    """The ascending order of the values, and for each centre the range in it that is closer.

    A bound such as centre + radius is rounded, and so is a difference; what counts is the
    difference. It never decreases along the order, so a bound is moved until the values on its two
    sides are on the right ones.
    """
    order = np.argsort(values)
    ascending = values[order]
    starts = np.flatnonzero(np.diff(ascending, prepend=-np.inf))
    distinct = np.concatenate([[-np.inf], ascending[starts], [np.inf]])
    # index 0 is a value below all others, and the last one above all
    first = np.searchsorted(distinct, centres - radii, side="right")
    last = np.searchsorted(distinct, centres + radii, side="left")
    while (wrong := centres - distinct[first] >= radii).any():
        first += wrong
    while (wrong := centres - distinct[first - 1] < radii).any():
        first -= wrong
    while (wrong := distinct[last] - centres < radii).any():
        last += wrong
    while (wrong := distinct[last - 1] - centres >= radii).any():
        last -= wrong
    edges = np.append(starts, len(values))
    return order, edges[first - 1], edges[last - 1]
