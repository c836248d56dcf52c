"""Mutual information of continuous variables from distances to nearest neighbours.

Where an example's k nearest neighbours are close, the density is high. Kraskov, Stögbauer &
Grassberger (2004, "Estimating mutual information", Physical Review E 69, 066138) compare the
neighbours in the joint space with those in the space of each variable, so that the errors of the
three densities cancel; Ross (2014, "Mutual information between discrete and continuous data sets",
PLoS ONE 9(2), e87357) does the same for a class label. Distances are in the maximum norm, computed
in float64, and compared exactly as the papers say: "closer than" is strict.

The estimators suppose a density. Where values repeat or lie on a lattice there is none, neighbours
are equally far, and counting them says nothing: such data ends in an error, see `check_continuous`.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from deep_bottleneck.information.arrays import BITS_PER_NAT, Array, as_labels, as_tensor
from deep_bottleneck.information.counting import count_closer

Algorithm = Literal[1, 2]

# In more dimensions a tree visits most pairs, and comparing all of them in tiles is faster: among
# 4096 Gaussian examples from about 10 dimensions on if they are independent, above 12 if not.
_LARGEST_TREE_DIMENSION = 10
# Distances in a tile; on a CPU it stays in the cache of a core.
_CPU_TILE = 2**16
_GPU_TILE = 2**25
# How many examples are searched for ties, and how many of them may have one.
_EXAMINED = 256
_LARGEST_TIED_FRACTION = 0.05
# Distances on a lattice that was scaled differ by this much of the largest value.
_ROUNDING = 8 * torch.finfo(torch.float64).eps


def standardised(points: Array) -> torch.Tensor:
    """Each unit in standard deviations from its mean, so that distances have no unit of measure.

    Mutual information does not change with the units of measurement, but which neighbour is the
    nearest does: Kraskov et al. (2004, section II) compare variables of like spread.

    Args:
        points: numbers, shape (..., n_examples, n_units); those of each problem are standardised by
            themselves.

    Returns:
        float64 of the same shape; a unit that is constant is 0, and one that is not finite stays
        so.
    """
    values = as_tensor(points).to(torch.float64)
    centred = values - values.mean(dim=-2, keepdim=True)
    constant = values.amax(dim=-2, keepdim=True) == values.amin(dim=-2, keepdim=True)
    # first to values of about 1, whose squares are neither 0 nor infinite
    largest = centred.abs().amax(dim=-2, keepdim=True).masked_fill_(constant, torch.inf)
    scaled = centred / largest
    spread = scaled.square().mean(dim=-2, keepdim=True).sqrt_().masked_fill_(constant, 1.0)
    return scaled / spread


def ksg(
    x: Array,
    y: Array,
    k: int = 3,
    algorithm: Algorithm = 1,
    names: tuple[str, str] = ("x", "y"),
) -> torch.Tensor:
    """Mutual information of two continuous variables.

    With psi the digamma function, eps_i the distance of example i to its k-th neighbour in the
    joint space and n_x(i) the number of other examples closer than that in the space of x (eq. 8)::

        I(X;Y) = psi(k) + psi(N) - <psi(n_x + 1) + psi(n_y + 1)>

    Algorithm 2 takes the smallest rectangle around the k neighbours instead of a square, and counts
    the examples up to its sides (eq. 9)::

        I(X;Y) = psi(k) - 1/k + psi(N) - <psi(n_x) + psi(n_y)>

    Estimates near 0 may be negative. They never exceed `ksg_ceiling`, and are far too low where the
    truth comes near to it.

    In up to 10 joint dimensions neighbours are found with a k-d tree, else by comparing all pairs
    in tiles. Besides float64 copies of the input, memory is bounded by 0.5 KiB for each example and
    a tile of 2^16 distances (0.5 MiB), or of one row of N where that is more; on a GPU by a few
    tiles of 2^25 distances (256 MiB each).

    Args:
        x: floats, shape (runs, n_examples, n_x), or (1, n_examples, n_x) for all runs alike.
        y: floats, shape (runs, n_examples, n_y).
        k: which neighbour; more make it smoother and more biased.
        algorithm: 1 or 2.
        names: what errors call x and y.

    Returns:
        float64, shape (runs,), in bits.

    Raises:
        ValueError: if a value is not finite, the shapes do not fit, k is not between 1 and
            n_examples - 1, the algorithm is unknown, or a variable is not continuous.
    """
    left, right = (_as_points(*variable) for variable in zip((x, y), names, strict=True))
    if left.shape[1] != right.shape[1] or len(left) not in (1, len(right)):
        raise ValueError(
            f"expected {names[0]} and {names[1]} with as many runs and examples, got shapes "
            f"{tuple(left.shape)} and {tuple(right.shape)}"
        )
    if algorithm not in (1, 2):
        raise ValueError(f"the algorithm must be 1 or 2, got {algorithm}")
    _check_k(k, left.shape[1])
    for name, points in zip(names, (left, right), strict=True):
        for run in points:
            _check_continuous(run, k, name)
    information = [
        _ksg(of_x, of_y, k, algorithm)
        for of_x, of_y in zip(left.expand(len(right), -1, -1), right, strict=True)
    ]
    return torch.stack(information) * BITS_PER_NAT


def ksg_ceiling(n_examples: int, k: int, algorithm: Algorithm = 1) -> float:
    """The largest answer that `ksg` can give, whatever the truth, in bits.

    The k - 1 examples that are closer than the k-th in the joint space are closer in either
    variable, so n_x and n_y are at least k - 1 and I(X;Y) is at most psi(N) - psi(k); for algorithm
    2 they are at least k, and it is at most psi(N) - psi(k) - 1/k.
    """
    psi = torch.special.digamma(torch.tensor([n_examples, k], dtype=torch.float64))
    nats = float(psi[0] - psi[1]) - (1 / k if algorithm == 2 else 0)
    return nats * BITS_PER_NAT


def label_information(
    points: Array, labels: Array, k: int = 3, name: str = "the variable"
) -> torch.Tensor:
    """Mutual information of a continuous variable and a class label.

    With N_y(i) the number of examples in the class of example i, and m_i the number of other
    examples, of any class, up to the k-th neighbour within that class (Ross 2014, eq. 2)::

        I(M;Y) = psi(N) + psi(k) - <psi(N_y) + psi(m)>

    Cost and memory are as for `ksg`.

    Args:
        points: floats, shape (runs, n_examples, n_units).
        labels: integers from 0, shape (n_examples,).
        k: which neighbour.
        name: what errors call the variable.

    Returns:
        float64, shape (runs,), in bits.

    Raises:
        ValueError: if a value is not finite, the shapes do not fit, there is a single class, a
            class has fewer than k + 1 examples, or the variable is not continuous.
    """
    values = _as_points(points, name)
    n_examples = values.shape[1]
    _check_k(k, n_examples)
    classes = as_labels(labels, n_examples).to(values.device)
    sizes = torch.bincount(classes)
    present = torch.nonzero(sizes).flatten().tolist()
    if len(present) == 1:
        raise ValueError(
            f"all {n_examples} examples are of class {present[0]}; information about the label "
            "needs at least two classes"
        )
    for label in present:
        if sizes[label] <= k:
            raise ValueError(
                f"class {label} has {int(sizes[label])} examples, but its {k} nearest neighbours "
                f"need at least {k + 1}; use more examples or a smaller k"
            )
    for run in values:
        _check_continuous(run, k, name)
    members = [torch.nonzero(classes == label).flatten() for label in present]
    expected = _psi(sizes[classes]).mean()
    information = []
    for run in values:
        radii = run.new_empty(n_examples)
        for rows in members:
            distances, _ = _nearest(run[rows], run[rows], k)
            radii[rows] = distances[:, k]
        _check_radii(radii, k)
        closer = _psi(count_closer(run, radii)).mean()
        information.append(_psi(classes.new_tensor([n_examples, k])).sum() - expected - closer)
    return torch.stack(information) * BITS_PER_NAT


def check_continuous(points: Array, k: int, name: str = "the variable") -> None:
    """Make sure that counting nearest neighbours means something.

    Under a density no two distances from an example are equal. On repeated values, on a lattice
    such as binary inputs, or on rounded values they are. An example is called tied if two
    of the distances to itself and its k + 1 nearest neighbours are equal. Up to 5% tied examples
    are accepted, so that floats, which are rounded themselves, pass: of float32 numbers from a
    one-dimensional Gaussian, fewer than 2% are tied among 100 000. Ties are looked for among the
    neighbours only: saturated units, which make far examples equally far, do no harm while others
    vary.

    Args:
        points: floats, shape (n_examples, n_units); up to 256 evenly spaced examples are examined.
        k: which neighbour.
        name: what the error calls the variable.

    Raises:
        ValueError: if the variable is not finite or not continuous.
    """
    values = _as_points(as_tensor(points)[None], name)[0]
    _check_k(k, len(values))
    _check_continuous(values, k, name)


def _ksg(x: torch.Tensor, y: torch.Tensor, k: int, algorithm: Algorithm) -> torch.Tensor:
    """One run, in nats."""
    n_examples = len(x)
    joint = torch.cat([x, y], dim=1)
    distances, neighbours = _nearest(joint, joint, k)
    radii = distances[:, k]
    _check_radii(radii, k)
    start = _psi(neighbours.new_tensor([n_examples, k])).sum()
    if algorithm == 1:
        # the count includes the example itself, as n + 1 does
        return start - sum(_psi(count_closer(points, radii)).mean() for points in (x, y))
    information = start - 1.0 / k
    for points in (x, y):
        sides = (points[neighbours] - points[:, None]).abs().amax(dim=(1, 2))
        within = count_closer(points, torch.nextafter(sides, sides.new_tensor(torch.inf)))
        information = information - _psi(within - 1).mean()
    return information


def _nearest(queries: torch.Tensor, points: torch.Tensor, k: int) -> tuple[torch.Tensor, ...]:
    """Ascending distances to the k + 1 nearest points, one of them itself, and their indices."""
    if points.device.type == "cpu" and points.shape[1] <= _LARGEST_TREE_DIMENSION:
        tree = cKDTree(points.numpy())
        distances, indices = tree.query(queries.numpy(), k + 1, p=np.inf)
        return torch.as_tensor(distances), torch.as_tensor(indices)
    tiles = [torch.topk(tile, k + 1, largest=False) for tile in _distance_tiles(queries, points)]
    return torch.cat([tile.values for tile in tiles]), torch.cat([tile.indices for tile in tiles])


def _distance_tiles(queries: torch.Tensor, points: torch.Tensor) -> Iterator[torch.Tensor]:
    """Distances of some queries after others to all points; each is valid until the next.

    On a CPU SciPy is three times as fast as torch, and into the same memory twice as fast again.
    """
    if points.device.type != "cpu":
        for rows in queries.split(max(1, _GPU_TILE // len(points))):
            yield torch.cdist(rows, points, p=torch.inf)
        return
    columns = points.numpy()
    buffer = np.empty((max(1, _CPU_TILE // len(points)), len(points)))
    for rows in queries.split(len(buffer)):
        tile = buffer[: len(rows)]
        cdist(rows.numpy(), columns, "chebyshev", out=tile)
        yield torch.from_numpy(tile)


def _psi(counts: torch.Tensor) -> torch.Tensor:
    return torch.special.digamma(counts.to(torch.float64))


def _as_points(array: Array, name: str) -> torch.Tensor:
    points = as_tensor(array).to(torch.float64)
    if points.ndim != 3 or 0 in points.shape:
        raise ValueError(
            f"expected {name} of shape (runs, n_examples, n_units), none of them 0, got "
            f"{tuple(points.shape)}"
        )
    if not bool(torch.isfinite(points).all()):
        raise ValueError(f"cannot measure distances where {name} is NaN or infinite")
    return points.contiguous()


def _check_k(k: int, n_examples: int) -> None:
    if not 1 <= k < n_examples:
        raise ValueError(
            f"k must be at least 1 and less than the number of examples, {n_examples}, got {k}"
        )


def _check_continuous(points: torch.Tensor, k: int, name: str) -> None:
    n_examples = len(points)
    examined = points[:: -(-n_examples // _EXAMINED)]
    distances, _ = _nearest(examined, points, min(k + 1, n_examples - 1))
    smallest = _ROUNDING * points.abs().max()
    tied = float((distances.diff(dim=1) <= smallest).any(dim=1).to(torch.float64).mean())
    if tied > _LARGEST_TIED_FRACTION:
        raise ValueError(
            f"{name} has no continuous values: more than {_LARGEST_TIED_FRACTION:.0%} of the "
            f"examples have some of their {k + 1} nearest neighbours at exactly the same distance, "
            "as repeated, rounded or discrete values do; use a method for discrete values"
        )


def _check_radii(radii: torch.Tensor, k: int) -> None:
    if bool((radii == 0).any()):
        raise ValueError(
            f"an example coincides with {k} others in every value, so that neighbours cannot be "
            "told apart; use a method for discrete values or a larger k"
        )
