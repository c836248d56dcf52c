"""Rényi's entropy of kernel matrices: information without an estimate of the density.

Giraldo, Rao & Principe (2015, "Measures of entropy from data using infinitely divisible kernels",
IEEE Transactions on Information Theory 61(1), 535-548) define the entropy of order alpha of N
examples by the eigenvalues of their normalised Gram matrix A, here A_ij = k(x_i, x_j) / N with the
Gaussian kernel k(a, b) = exp(-d(a, b)^2 / 2 width^2) of their distance (definition 2)::

    S(A) = 1 / (1 - alpha) log2 sum_i lambda_i(A)^alpha

The joint entropy is that of the normalised Hadamard product, and the information of two variables
I = S(A) + S(B) - S(A o B / tr(A o B)). Yu, Giraldo, Jenssen & Principe (2020, "Multivariate
extension of matrix-based Rényi's alpha-order entropy functional", IEEE Transactions on Pattern
Analysis and Machine Intelligence 42(11), 2960-2966) multiply as many matrices as there are
variables (definition 2 there). A product of Gaussian kernels is one Gaussian kernel of all
variables side by side, each divided by its width, so one function answers for any number of
them; the kernel of a label is 1 within a class and 0 between classes.

Two orders are special. For alpha = 2 the sum is the squared Frobenius norm: no eigenvalues are
needed, and no matrix is kept. As alpha approaches 1, S becomes von Neumann's -sum lambda log2
lambda; the literature uses 1.01.
"""

import math
from collections.abc import Sequence

import torch

from deep_bottleneck.information.arrays import BITS_PER_NAT, Array, as_labels, as_tensor
from deep_bottleneck.information.discrete import Counts
from deep_bottleneck.information.renyi import is_shannon, renyi_entropy

Width = float | torch.Tensor

ALPHA = 1.01
MEMORY_LIMIT = 4 * 2**30

# A tile of this many examples by as many stays near a core, for as many runs as fit beside it.
_TILE = 512
_GPU_TILE = 4096
# Further out, rounding of the squared distances could be seen in the fourth digit of a kernel.
_FARTHEST = 1e5
# Nearer to 1 than this, 1 / (1 - alpha) amplifies rounding more than the limit is off.
# An eigendecomposition needs the matrix, a copy and work space.
_MATRICES = 3


def kernel_entropy(
    variables: Sequence[Array],
    widths: Sequence[Width],
    alpha: float = ALPHA,
    labels: Array | None = None,
    memory_limit: int = MEMORY_LIMIT,
) -> torch.Tensor:
    """Joint matrix-based Rényi entropy of variables, and of a label if there is one.

    For alpha = 2 the cost is that of all distances, and memory that of tiles of 512 x 512 numbers,
    on a GPU 4096 x 4096, of as many runs as fit into one. Any other order needs the eigenvalues of
    an n x n matrix, with n the number of distinct examples (equal ones share an eigenvalue, which
    is exact) or, with labels, of those of one class: cubic time, about 5 s on one core for n =
    4096, and 3 x 8 n^2 bytes, 400 MB there.

    Args:
        variables: each floats of shape (runs, n_examples, n_units), their runs the same or 1.
        widths: of each variable's kernel, in its units: a number, or one for each run.
        alpha: the order, positive and finite.
        labels: integers from 0, shape (n_examples,).
        memory_limit: how many bytes the matrices may take; examples are never left out to fit in.

    Returns:
        float64, shape (runs,), in bits; between 0 and log2 n_examples.

    Raises:
        ValueError: if a value is not finite, the shapes do not fit, a width or alpha is not
            positive and finite, or the matrices need more memory than allowed.
    """
    if not 0 < alpha < math.inf:
        raise ValueError(f"the order alpha must be positive and finite, got {alpha}")
    points = _side_by_side(variables, widths)
    n_examples = points.shape[1]
    if labels is None:
        members = [torch.arange(n_examples, device=points.device)]
    else:
        classes = as_labels(labels, n_examples).to(points.device)
        members = [torch.nonzero(classes == label).flatten() for label in torch.unique(classes)]
    if alpha == 2:
        power_sums = torch.stack([_squares(points[:, rows]) for rows in members]).sum(dim=0)
        return -torch.log2(power_sums / n_examples**2).clamp_(max=0.0)
    entropies = []
    for run in points:
        spectra = [_spectrum(run[rows], memory_limit) for rows in members]
        entropies.append(_entropy_of(torch.cat(spectra) / n_examples, alpha))
    return torch.stack(entropies).clamp_(min=0.0)


def kernel_information(
    x: Array,
    y: Array,
    widths: tuple[Width, Width],
    alpha: float = ALPHA,
    memory_limit: int = MEMORY_LIMIT,
) -> torch.Tensor:
    """Matrix-based Rényi information of two variables, S(X) + S(Y) - S(X,Y).

    Args:
        x: floats, shape (runs, n_examples, n_x), or (1, n_examples, n_x) for all runs alike.
        y: floats, shape (runs, n_examples, n_y).
        widths: of the kernels of x and y, each in its variable's units.
        alpha: the order, positive and finite.
        memory_limit: how many bytes the matrices may take.

    Returns:
        float64, shape (runs,), in bits.

    Raises:
        ValueError: as for `kernel_entropy`, whose cost and memory this has three times, in turn.
    """
    width_x, width_y = widths
    alone = kernel_entropy([x], [width_x], alpha, memory_limit=memory_limit)
    other = kernel_entropy([y], [width_y], alpha, memory_limit=memory_limit)
    return alone + other - kernel_entropy([x, y], widths, alpha, memory_limit=memory_limit)


def kernel_label_information(
    points: Array,
    labels: Array,
    width: Width,
    alpha: float = ALPHA,
    memory_limit: int = MEMORY_LIMIT,
) -> torch.Tensor:
    """Matrix-based Rényi information of a variable and a label, S(M) + S(Y) - S(M,Y).

    Args:
        points: floats, shape (runs, n_examples, n_units).
        labels: integers from 0, shape (n_examples,).
        width: of the kernel, in the units of the points.
        alpha: the order, positive and finite.
        memory_limit: how many bytes the matrices may take.

    Returns:
        float64, shape (runs,), in bits.

    Raises:
        ValueError: as for `kernel_entropy`.
    """
    joint = kernel_entropy([points], [width], alpha, labels, memory_limit)
    own = kernel_entropy([points], [width], alpha, memory_limit=memory_limit)
    return own + label_entropy(labels, alpha).to(own.device) - joint


def label_entropy(labels: Array, alpha: float = ALPHA) -> torch.Tensor:
    """Matrix-based Rényi entropy of a label: the eigenvalues are its classes' frequencies.

    Args:
        labels: integers from 0, shape (n_examples,).
        alpha: the order.

    Returns:
        float64, shape (1,), in bits.

    Raises:
        ValueError: if they are not integers from 0.
    """
    occurrences = torch.bincount(as_labels(labels, as_tensor(labels).numel()))
    present = occurrences[occurrences > 0]
    counts = Counts(present, present.new_tensor([len(present)]), int(present.sum()))
    return renyi_entropy(counts, alpha)


def rule_of_thumb_width(points: Array, factor: float = 1.0) -> torch.Tensor:
    """Kernel widths that follow the data: factor x standard deviation x N^(-1 / (4 + d)).

    Silverman's rule, which Wickstrøm et al. (2019, "Information plane analysis of deep neural
    networks via matrix-based Rényi's entropy and tensor kernels", arXiv 1909.11396) discuss for
    kernel matrices of layers.

    Args:
        points: floats, shape (runs, n_examples, n_units); the standard deviation of a run is the
            root mean square of those of its units.
        factor: the constant of the rule.

    Returns:
        float64, shape (runs,), in the units of the points; 0 where all examples are equal.
    """
    values = as_tensor(points).to(torch.float64)
    n_examples, n_units = values.shape[-2:]
    spread = values.var(dim=-2, correction=0).mean(dim=-1).sqrt()
    return spread * (factor * n_examples ** (-1.0 / (4 + n_units)))


def _side_by_side(variables: Sequence[Array], widths: Sequence[Width]) -> torch.Tensor:
    """All variables in units of their kernel's width, around their mean."""
    scaled = []
    for variable, width in zip(variables, widths, strict=True):
        points = as_tensor(variable).to(torch.float64)
        if points.ndim != 3 or 0 in points.shape:
            raise ValueError(
                "expected a variable of shape (runs, n_examples, n_units), none of them 0, got "
                f"{tuple(points.shape)}"
            )
        sizes = torch.as_tensor(width, dtype=torch.float64, device=points.device).reshape(-1)
        if not bool(((sizes > 0) & (sizes < math.inf)).all()):
            raise ValueError(
                f"the kernel width must be positive and finite, got {float(sizes.min())}"
            )
        scaled.append((points - points.mean(dim=1, keepdim=True)) / sizes[:, None, None])
        if not bool((scaled[-1].abs() < _FARTHEST).all()):
            raise ValueError(
                "cannot measure distances of values that are NaN, infinite or more than "
                f"{_FARTHEST:g} kernel widths from their mean"
            )
    shapes = [points.shape for points in scaled]
    runs = max(shape[0] for shape in shapes)
    if any(shape[0] not in (1, runs) or shape[1] != shapes[0][1] for shape in shapes):
        raise ValueError(
            "expected variables with as many runs and examples, got shapes "
            f"{', '.join(str(tuple(shape)) for shape in shapes)}"
        )
    return torch.cat([points.expand(runs, -1, -1) for points in scaled], dim=2)


def _exponents(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Half the squared distances, negative; a product, exact to 1e-15 of the squared norms."""
    norms = [points.square().sum(dim=2) / 2 for points in (left, right)]
    offsets = -(norms[0][:, :, None] + norms[1][:, None])
    return torch.baddbmm(offsets, left, right.mT).clamp_(max=0.0)


def _squares(points: torch.Tensor) -> torch.Tensor:
    """Each run's sum of squared kernel values, from the tiles on and above the diagonal."""
    tile = _TILE if points.device.type == "cpu" else _GPU_TILE
    runs_at_a_time = max(1, (tile // points.shape[1]) ** 2)
    return torch.cat(
        [_squares_in_tiles(runs.split(tile, dim=1)) for runs in points.split(runs_at_a_time)]
    )


def _squares_in_tiles(tiles: Sequence[torch.Tensor]) -> torch.Tensor:
    total = tiles[0].new_zeros(len(tiles[0]))
    for index, rows in enumerate(tiles):
        for shift, columns in enumerate(tiles[index:]):
            squares = _exponents(rows, columns).mul_(2).exp_().sum(dim=(1, 2))
            total += squares if shift == 0 else 2 * squares
    return total


def _spectrum(points: torch.Tensor, memory_limit: int) -> torch.Tensor:
    """The eigenvalues of the kernel matrix, except zeros.

    Equal examples give equal rows; one row for all of them, weighted by the square root of their
    number on either side, has the same eigenvalues other than zero.
    """
    distinct, counts = torch.unique(points, dim=0, return_counts=True)
    needed = _MATRICES * 8 * len(distinct) ** 2
    if needed > memory_limit:
        raise ValueError(
            f"the eigenvalues of {len(distinct)} distinct examples take {needed / 2**30:.1f} GiB, "
            f"more than the limit of {memory_limit / 2**30:.1f} GiB; use alpha = 2, fewer examples "
            "or a higher limit"
        )
    weights = counts.to(torch.float64).sqrt()
    (matrix,) = _exponents(distinct[None], distinct[None]).exp_()
    matrix.fill_diagonal_(1.0)
    matrix.mul_(weights).mul_(weights[:, None])
    return torch.linalg.eigvalsh(matrix)


def _entropy_of(eigenvalues: torch.Tensor, alpha: float) -> torch.Tensor:
    # what rounding leaves of a zero must not count for small orders
    smallest = len(eigenvalues) * torch.finfo(eigenvalues.dtype).eps
    kept = eigenvalues[eigenvalues > smallest]
    if is_shannon(alpha):
        return -(kept * torch.log2(kept)).sum()
    return torch.log(kept.pow(alpha).sum()) * (BITS_PER_NAT / (1.0 - alpha))
