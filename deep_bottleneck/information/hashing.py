"""Locality-sensitive hashes: cells of a randomly shifted grid, in which near points meet.

Noshad, Zeng & Hero (2019, "Scalable mutual information estimation using dependence graphs", ICASSP,
arXiv:1801.09125) cut each dimension into intervals of a bandwidth, with a random shift, and map the
cells to some N table places. Here each cell has a 64-bit key of its own, so cells do not collide.
"""

import functools
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from deep_bottleneck.information.arrays import Array, as_tensor
from deep_bottleneck.information.discrete import (
    Counts,
    count_keys,
    entropy_of_keys,
    group_sizes,
    row_keys,
)
from deep_bottleneck.information.hash_ensembles import Ensemble

_MOST_CELLS = 2.0**62


class HashFunctions(NamedTuple):
    """The hash functions floor(value / width + shift) of an ensemble, for each dimension.

    Attributes:
        widths: float64, shape (n_hashes, n_problems, 1, n_dimensions), infinite for a constant
            dimension, so that it has one cell.
        shifts: float64 of the same shape, from 0 to 1.
    """

    widths: torch.Tensor
    shifts: torch.Tensor


@dataclass(frozen=True)
class Hashed:
    """The hash values of a variable.

    Attributes:
        keys: int64, shape (n_hashes, n_problems, n_samples), of one hash or problem where all share
            it; those of two variables hashed at different columns add up to keys of the pair.
        n_columns: after which column the other variable of a pair can be hashed.
        n_dimensions: how many dimensions it has, 0 for a discrete one.
    """

    keys: torch.Tensor
    n_columns: int
    n_dimensions: int

    @functools.cached_property
    def counts(self) -> Counts:
        """How often each value occurs, hash after hash, problem after problem."""
        return count_keys(self.keys.flatten(0, 1))

    @functools.cached_property
    def entropy(self) -> torch.Tensor:
        """The plug-in entropy in bits, float64, shape (n_hashes, n_problems)."""
        return entropies(self.keys)

    @functools.cached_property
    def log_sizes(self) -> torch.Tensor:
        """log2 of how many samples share each sample's value, float64, of the keys' shape."""
        n_samples = self.keys.shape[2]
        logarithms = torch.arange(n_samples + 1, dtype=torch.float64, device=self.keys.device)
        return logarithms.log2_().take(group_sizes(self.keys))


def entropies(keys: torch.Tensor) -> torch.Tensor:
    """The plug-in entropy in bits of the keys of each hash and problem."""
    return entropy_of_keys(keys.flatten(0, 1)).view(keys.shape[:2])


def hash_functions(points: torch.Tensor, ensemble: Ensemble, bandwidth: float) -> HashFunctions:
    """The hash functions of an ensemble for points, which set the scale.

    For a dimension with standard deviation s, the width is t b s with the member's factor t and
    bandwidth b. Every dimension has a shift of its own, which goes by the rank of s, so the order
    of dimensions does not matter.

    Args:
        points: float64, shape (n_problems, n_samples, n_dimensions).
        ensemble: which hashes.
        bandwidth: a factor of all bandwidths, positive.

    Raises:
        ValueError: if a value is not finite, or too large for its width.
    """
    centred = points - points.mean(dim=1, keepdim=True)
    spread = centred.square_().mean(dim=1, keepdim=True).sqrt_()
    if not bool(torch.isfinite(spread).all()):
        raise ValueError("cannot hash values that are NaN, infinite or too large to square")
    low, high = torch.aminmax(points, dim=1, keepdim=True)
    n_samples, n_dimensions = points.shape[1:]
    varies = (high > low) & (spread > 0)  # the spread of equal numbers may be a rounding error
    used = varies.sum(dim=2, keepdim=True).clamp_(min=1)
    width = ensemble.bandwidths(n_samples, used) * bandwidth * spread
    width = torch.where(varies, width, torch.inf)
    scales = torch.tensor(ensemble.scales, dtype=torch.float64, device=points.device)
    widths = scales[:, None, None, None] * width
    if not bool((torch.maximum(high.abs(), low.abs()) / widths < _MOST_CELLS).all()):
        raise ValueError(f"cannot hash values above {_MOST_CELLS:.0e} bandwidths")
    rank = torch.argsort(torch.argsort(spread, dim=2), dim=2)
    drawn = np.random.default_rng(ensemble.seed).random((len(scales), n_dimensions))
    return HashFunctions(widths, torch.from_numpy(drawn).to(points.device)[:, rank])


def hash_points(
    points: Array, ensemble: Ensemble, bandwidth: float = 1.0, first_column: int = 0
) -> Hashed:
    """Hash points by every member of an ensemble, with the functions of `hash_functions`.

    Beside the keys, memory is bounded by four arrays of the points' size in float64.

    Args:
        points: floats, shape (n_problems, n_samples, n_dimensions).
        ensemble: which hashes.
        bandwidth: a factor of all bandwidths, positive; 1 leaves them as the ensemble has them.
        first_column: where a variable that it will be paired with ends.

    Returns:
        The hash values.

    Raises:
        ValueError: if a value is not finite or too large, there are none, or the bandwidth is not
            positive and finite.
    """
    values = as_tensor(points).to(torch.float64)
    if values.ndim != 3 or values.shape[1] == 0:
        raise ValueError(
            "expected points of shape (n_problems, n_samples, n_dimensions) with at least one "
            f"sample, got {tuple(values.shape)}"
        )
    if not 0 < bandwidth < math.inf:
        raise ValueError(f"the bandwidth must be positive and finite, got {bandwidth}")
    functions = hash_functions(values, ensemble, bandwidth)
    keys = [
        row_keys((values / width).add_(shift).floor_().to(torch.int64), first_column)
        for width, shift in zip(*functions, strict=True)
    ]
    n_dimensions = values.shape[2]
    return Hashed(torch.stack(keys), first_column + n_dimensions, n_dimensions)


def hash_labels(labels: torch.Tensor, first_column: int = 0) -> Hashed:
    """Hash a discrete variable: its hash is its value, the same for every member of an ensemble.

    Args:
        labels: integers, shape (n_samples,).
        first_column: where a variable that it will be paired with ends.

    Returns:
        The hash values of one hash and one problem, which all others share.
    """
    return Hashed(row_keys(labels[:, None], first_column)[None, None], first_column + 1, 0)
