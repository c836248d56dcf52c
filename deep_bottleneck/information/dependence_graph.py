"""Mutual information from the dependence graph of locality-sensitive hashes (EDGE).

Noshad, Zeng & Hero (2019, "Scalable mutual information estimation using dependence graphs", ICASSP,
arXiv:1801.09125) hash x and y so that near points share a value, and draw a bipartite graph between
the values of both. With N_i and N_j samples on the nodes, N_ij on the edge between them, and the
edge's weight w_ij = N_ij N / (N_i N_j), the estimate is::

    I(X;Y) = sum_ij N_ij / N min(log2 w_ij, U)

and EDGE combines it over an ensemble of bandwidths.

Since w_ij <= N, no bound U of log2 N or more has any effect, and the estimate is the plug-in MI
H(i) + H(j) - H(i,j) of the hashed variables.
"""

import math

import numpy as np
import torch

from deep_bottleneck.information.arrays import Array
from deep_bottleneck.information.discrete import Counts
from deep_bottleneck.information.hash_ensembles import CALIBRATED, Ensemble
from deep_bottleneck.information.hashing import Hashed, entropies, hash_points

# Less information in bits than this between the ceiling and chance says nothing.
_RESOLUTION = 1e-9


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
    information = both - entropies(x.keys + y.keys)
    if not ensemble.adjusted:
        return information
    n_samples = x.keys.shape[2]
    order = torch.from_numpy(np.random.default_rng(ensemble.seed).permutation(n_samples))
    states_x = _by_size(x.counts)[:, order.to(x.keys.device)].view(x.keys.shape)
    by_chance = both - entropies(states_x * n_samples + _by_size(y.counts).view(y.keys.shape))
    smaller = torch.minimum(x.entropy, y.entropy)
    room = smaller - by_chance
    resolved = room > _RESOLUTION
    adjusted = (information - by_chance) * smaller / torch.where(resolved, room, 1.0)
    return torch.where(resolved, adjusted, 0.0)


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
