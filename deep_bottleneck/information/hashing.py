"""Mutual information from the dependence graph of locality-sensitive hashes (EDGE).

Noshad, Zeng & Hero (2019, "Scalable mutual information estimation using dependence graphs", ICASSP,
arXiv:1801.09125) hash x and y so that near points share a value, and draw a bipartite graph between
the values of both. With N_i and N_j samples on the nodes, N_ij on the edge between them, and the
edge's weight w_ij = N_ij N / (N_i N_j), the estimate is::

    I(X;Y) = sum_ij N_ij / N min(log2 w_ij, U)

and EDGE combines it over an ensemble of bandwidths. The hash of a point cuts each dimension into
intervals of a bandwidth, with a random shift. The paper then maps cells to some N table places;
here each cell has a 64-bit key of its own, so cells do not collide.

Since w_ij <= N, no bound U of log2 N or more has any effect, and the estimate is the plug-in MI
H(i) + H(j) - H(i,j) of the hashed variables.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from scipy.stats import norm

from deep_bottleneck.information.arrays import Array, as_tensor
from deep_bottleneck.information.discrete import (
    Counts,
    count_keys,
    entropy_of_keys,
    group_sizes,
    row_keys,
)

# A hash of balanced bandwidths has about N^(3/8) values, so that a joint cell of independent
# variables holds N^(1/4) samples on average.
_BALANCED_SHARE = 3 / 8
# From here up the cells of a Gaussian are counted; below, its entropy is linear in log2 of them.
_COARSE = 0.5
_MOST_CELLS = 2.0**62
# Less information in bits than this between the ceiling and chance says nothing.
_RESOLUTION = 1e-9
_GAUSSIAN_BITS = 0.5 * math.log2(2 * math.pi * math.e)

Weights = Literal["average", "median", "optimal"]


def published_bandwidths(n_samples: int, n_dimensions: torch.Tensor) -> torch.Tensor:
    """The paper's rate N^(-1/2d), in standard deviations of each dimension.

    Args:
        n_samples: N.
        n_dimensions: d, of any shape, at least 1.

    Returns:
        float64 of the shape of d.
    """
    return torch.exp2(-math.log2(n_samples) / (2.0 * n_dimensions.to(torch.float64)))


def balanced_bandwidths(n_samples: int, n_dimensions: torch.Tensor) -> torch.Tensor:
    """The bandwidth whose hash has 3/8 log2 N bits, in standard deviations of each dimension.

    This is the entropy that the hash of d independent Gaussians has at this bandwidth. Dependent
    dimensions have less, so their cells hold more samples.

    Args:
        n_samples: N.
        n_dimensions: d, of any shape, at least 1.

    Returns:
        float64 of the shape of d.
    """
    bits = _BALANCED_SHARE * math.log2(n_samples) / n_dimensions.to(torch.float64)
    coarse, coarse_bits = _coarse_gaussian_bits()
    interpolated = np.interp(-bits.cpu().numpy(), -coarse_bits, coarse)
    fine = torch.exp2(_GAUSSIAN_BITS - bits)
    return torch.where(fine < _COARSE, fine, torch.from_numpy(interpolated).to(bits.device))


@dataclass(frozen=True)
class Ensemble:
    """Which hashes to use, and how to combine their estimates.

    Attributes:
        bandwidths: from N and d the bandwidth in standard deviations of each dimension.
        scales: the factors t of the bandwidth, one for each hash of the ensemble.
        weights: how the estimates are combined: "average", "median" or, after the paper, "optimal".
        upper_bound: the largest log2 of an edge's weight, U in bits; None for log2 N.
        adjusted: whether to take away what independent variables of the same marginals would show.
        seed: of the random shifts.
    """

    bandwidths: Callable[[int, torch.Tensor], torch.Tensor]
    scales: tuple[float, ...]
    weights: Weights
    upper_bound: float | None = None
    adjusted: bool = False
    seed: int = 0

    def ceiling(self, n_samples: int) -> float:
        """The largest estimate for so many samples, in bits."""
        most = math.log2(n_samples)
        return most if self.upper_bound is None else min(most, self.upper_bound)


# What users of EDGE know: U = 10 and the median of five bandwidths. The cells are so fine that most
# joint ones hold a single sample, so it overestimates, and says several bits of independent pairs.
PUBLISHED = Ensemble(published_bandwidths, (1.0, 2.0, 3.0, 4.0, 5.0), "median", upper_bound=10.0)
# Coarse enough to count, and 0 on average for independent variables; an underestimate where the
# information is in details or in many dimensions.
CALIBRATED = Ensemble(balanced_bandwidths, (1.0,) * 8, "average", adjusted=True)


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
        return _entropy(self.keys)

    @functools.cached_property
    def log_sizes(self) -> torch.Tensor:
        """log2 of how many samples share each sample's value, float64, of the keys' shape."""
        n_samples = self.keys.shape[2]
        logarithms = torch.arange(n_samples + 1, dtype=torch.float64, device=self.keys.device)
        return logarithms.log2_().take(group_sizes(self.keys))


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


def dependence(x: Hashed, y: Hashed, ensemble: Ensemble) -> torch.Tensor:
    """Mutual information of two hashed variables, combined over the ensemble.

    An adjusted estimate is (I - E) H / (H - E), H being the smaller of the two entropies and E the
    estimate for independent variables whose hashes have the same counts. It is 0 on average for
    independent variables and H where one is a function of the other (Vinh, Epps & Bailey 2010,
    "Information theoretic measures for clusterings comparison", JMLR 11, eq. 4). E is measured on
    pairs drawn at random by a fixed seed, and depends on the counts alone.

    Args:
        x: one variable, with as many hashes and problems as `y`, or one for all.
        y: the other, hashed at the columns after those of `x`.
        ensemble: how to estimate and combine.

    Returns:
        float64, shape (n_problems,), in bits, from 0 to `ensemble.ceiling`.

    Raises:
        ValueError: if both variables do not have the same samples, or an adjusted estimate is
            asked for with an upper bound.
    """
    if x.keys.shape[-1] != y.keys.shape[-1]:
        raise ValueError(
            f"expected as many samples of both variables, got {x.keys.shape[-1]} and "
            f"{y.keys.shape[-1]}"
        )
    n_samples = x.keys.shape[-1]
    ceiling = ensemble.ceiling(n_samples)
    if ceiling == math.log2(n_samples):
        information = _information(x, y, ensemble)
    elif ensemble.adjusted:
        raise ValueError("an adjusted estimate has no upper bound but log2 N")
    else:
        information = _bounded(x, y, ceiling)
    combined = _combined(information, ensemble, max(x.n_dimensions, y.n_dimensions))
    return combined.clamp(0.0, ceiling)


def edge(
    x: Array, y: Array, ensemble: Ensemble = CALIBRATED, bandwidth: float = 1.0
) -> torch.Tensor:
    """Mutual information of two continuous variables by EDGE.

    Args:
        x: floats, shape (n_problems, n_samples, n_dimensions), or one problem shared by all.
        y: floats, shape (n_problems, n_samples, n_dimensions).
        ensemble: `CALIBRATED`, `PUBLISHED` or one of your own.
        bandwidth: a factor of all bandwidths, positive.

    Returns:
        float64, shape (n_problems,), in bits.

    Raises:
        ValueError: as for `hash_points` and `dependence`.
    """
    hashed = hash_points(x, ensemble, bandwidth)
    other = hash_points(y, ensemble, bandwidth, hashed.n_columns)
    return dependence(hashed, other, ensemble)


def optimal_weights(scales: tuple[float, ...], n_dimensions: int) -> torch.Tensor:
    """The paper's weights of an ensemble, which cancel the leading terms of the bias.

    The smallest w by its Euclidean norm, so that the variance stays small, with sum w(t) = 1 and
    sum w(t) t^i = 0 for i = 1 ... d, the powers of the bandwidth in the bias; as many of these as
    there are other scales to cancel them with. A quadratic program with equations only, solved by
    its normal equations.

    Args:
        scales: the factors t of the members' bandwidths.
        n_dimensions: d.

    Returns:
        float64, shape (n_scales,), with the sum 1.
    """
    n_powers = min(n_dimensions, len(set(scales)) - 1)
    powers = torch.arange(n_powers + 1, dtype=torch.float64)[:, None]
    # t relative to its largest value: the equations stay the same, and well conditioned.
    equations = (torch.tensor(scales, dtype=torch.float64) / max(scales)) ** powers
    wanted = torch.zeros(n_powers + 1, dtype=torch.float64)
    wanted[0] = 1.0
    return torch.linalg.pinv(equations) @ wanted


def _information(x: Hashed, y: Hashed, ensemble: Ensemble) -> torch.Tensor:
    """The plug-in MI for each hash and problem, adjusted for chance if the ensemble says so."""
    both = x.entropy + y.entropy
    information = both - _entropy(x.keys + y.keys)
    if not ensemble.adjusted:
        return information
    n_samples = x.keys.shape[2]
    order = torch.from_numpy(np.random.default_rng(ensemble.seed).permutation(n_samples))
    states_x = _by_size(x.counts)[:, order.to(x.keys.device)].view(x.keys.shape)
    by_chance = both - _entropy(states_x * n_samples + _by_size(y.counts).view(y.keys.shape))
    smaller = torch.minimum(x.entropy, y.entropy)
    room = smaller - by_chance
    resolved = room > _RESOLUTION
    adjusted = (information - by_chance) * smaller / torch.where(resolved, room, 1.0)
    return torch.where(resolved, adjusted, 0.0)


def _entropy(keys: torch.Tensor) -> torch.Tensor:
    return entropy_of_keys(keys.flatten(0, 1)).view(keys.shape[:2])


def _by_size(counts: Counts) -> torch.Tensor:
    """States numbered by how often they occur, as often as they do, (n_problems, n_samples)."""
    n_problems = len(counts.n_distinct)
    problem = torch.arange(n_problems, device=counts.counts.device)
    problem = problem.repeat_interleave(counts.n_distinct)
    ordered = torch.sort(problem * (counts.n_samples + 1) + counts.counts).values
    sizes = ordered % (counts.n_samples + 1)
    state = torch.arange(len(sizes), device=sizes.device).repeat_interleave(sizes)
    state = state.view(n_problems, counts.n_samples)
    return state - state[:, :1]


def _bounded(x: Hashed, y: Hashed, upper_bound: float) -> torch.Tensor:
    """The mean over samples of the log2 of their edge's weight, at most the bound."""
    joint = Hashed(x.keys + y.keys, y.n_columns, 0)
    logarithms = joint.log_sizes + math.log2(x.keys.shape[2]) - x.log_sizes - y.log_sizes
    return logarithms.clamp_(max=upper_bound).mean(dim=2)


def _combined(information: torch.Tensor, ensemble: Ensemble, n_dimensions: int) -> torch.Tensor:
    if ensemble.weights == "optimal":
        return optimal_weights(ensemble.scales, n_dimensions).to(information.device) @ information
    if ensemble.weights == "median":
        return information.quantile(0.5, dim=0)
    return information.mean(dim=0)


@functools.lru_cache(maxsize=1)
def _coarse_gaussian_bits() -> tuple[np.ndarray, np.ndarray]:
    """Bandwidths, and the bits of a standard normal cut at each, the mean over shifts."""
    bandwidths = np.geomspace(_COARSE, 2.0**12, 400)
    shifts = (np.arange(32) + 0.5) / 32
    cuts = np.arange(-20, 21)[:, None, None] + shifts[:, None]
    cells = np.diff(norm.cdf(cuts * bandwidths), axis=0)
    terms = -cells * np.log2(cells, where=cells > 0, out=np.zeros_like(cells))
    return bandwidths, terms.sum(axis=0).mean(axis=0)
