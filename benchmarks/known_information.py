"""Problems whose mutual information is known, to try estimators on.

A problem draws pairs (x, y). Where y is a label, an integer, it stands for the label of the
information plane and x for the layer; else both are continuous.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import integrate, special, stats

FloatArray = np.ndarray[Any, np.dtype[np.float64]]
IntArray = np.ndarray[Any, np.dtype[np.int64]]
Draw = Callable[[int, np.random.Generator], tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]

NATS = 1 / np.log(2)


@dataclass(frozen=True)
class Problem:
    """Pairs of variables with a known mutual information.

    Attributes:
        name: what it is.
        truth: the mutual information in bits.
        draw: makes so many pairs: x of shape (n, dimension), float64, and y of the same kind, or
            labels of shape (n,), int64.
        labelled: whether y is a label.
    """

    name: str
    truth: float
    draw: Draw
    labelled: bool = False


def problems() -> list[Problem]:
    """All problems, continuous ones first."""
    return [*_continuous(), *_labelled()]


def normal(dimension: int, correlation: float) -> Problem:
    """Two normal vectors whose coordinates are correlated in pairs."""

    def draw(n: int, generator: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        x = generator.standard_normal((n, dimension))
        noise = generator.standard_normal((n, dimension))
        return x, correlation * x + np.sqrt(1 - correlation**2) * noise

    truth = abs(dimension / 2 * np.log2(1 - correlation**2))
    return Problem(f"normal, {dimension} + {dimension}, {correlation:g}", truth, draw)


def _continuous() -> Iterator[Problem]:
    for dimension, correlation in ((1, 0.5), (1, 0.8), (5, 0.5), (5, 0.8), (10, 0.5)):
        yield normal(dimension, correlation)
    yield _additive_uniform(0.1)
    yield _student(dof=3, dispersion=0.8)
    bivariate = normal(1, 0.8)
    yield _transformed("half-cube, 0.8", bivariate, _half_cube, _half_cube)
    yield _transformed("Swiss roll, 0.8", bivariate, _swiss_roll, lambda y: y)
    yield _transformed("independent, 1 + 1", normal(1, 0.0), lambda x: x, lambda y: y)
    yield _transformed("independent, 5 + 5", normal(5, 0.0), lambda x: x, lambda y: y)
    yield Problem("invertible map", np.inf, _invertible)


def _labelled() -> Iterator[Problem]:
    yield _overlapping_uniform(classes=5)
    yield _two_normals(distance=2.0, dimension=1)
    yield _two_normals(distance=2.0, dimension=5)
    yield _zero_inflated_poisson(zeros=0.15)
    yield Problem("separate classes", np.log2(3), _separate_classes, labelled=True)
    yield Problem("label by chance, 5 units", 0.0, _label_by_chance, labelled=True)
    yield _quantised_layer()


def _additive_uniform(width: float) -> Problem:
    """X uniform on [0, 1], Y = X + uniform noise on [-width, width], width at most 1/2."""

    def draw(n: int, generator: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        x = generator.random((n, 1))
        return x, x + generator.uniform(-width, width, (n, 1))

    return Problem(f"uniform noise, {width:g}", (width - np.log(2 * width)) * NATS, draw)


def _student(dof: int, dispersion: float) -> Problem:
    """Bivariate Student-t (Arellano-Valle, Contreras-Reyes & Genton 2013)."""

    def draw(n: int, generator: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        shape = [[1.0, dispersion], [dispersion, 1.0]]
        both = stats.multivariate_t([0, 0], shape, dof, seed=generator).rvs(n)
        return both[:, :1], both[:, 1:]

    return Problem(
        f"Student-t, {dof} dof, {dispersion:g}", student_information(dof, dispersion), draw
    )


def student_information(dof: int, dispersion: float) -> float:
    """MI of a bivariate Student-t in bits: 2 h(one coordinate) - h(both)."""
    half = dof / 2
    one = stats.t(dof).entropy()
    log_normaliser = special.gammaln(half) - special.gammaln(half + 1) + np.log(dof * np.pi)
    both = (
        log_normaliser
        + 0.5 * np.log(1 - dispersion**2)
        + (half + 1) * (special.digamma(half + 1) - special.digamma(half))
    )
    return float((2 * one - both) * NATS)


def _transformed(
    name: str,
    problem: Problem,
    of_x: Callable[[FloatArray], FloatArray],
    of_y: Callable[[FloatArray], FloatArray],
) -> Problem:
    """The same information, seen through invertible maps of either variable."""

    def draw(n: int, generator: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        x, y = problem.draw(n, generator)
        return of_x(x), of_y(y)

    return Problem(name, problem.truth, draw)


def _half_cube(x: FloatArray) -> FloatArray:
    return np.sign(x) * np.abs(x) ** 1.5


def _swiss_roll(x: FloatArray) -> FloatArray:
    angle = 1.5 * np.pi * (1 + 2 * stats.norm.cdf(x))
    return np.hstack([angle * np.cos(angle), angle * np.sin(angle)]) / 21


def _invertible(n: int, generator: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    x = generator.standard_normal((n, 1))
    return x, x + x**3


def _overlapping_uniform(classes: int) -> Problem:
    """Label uniform on 0..m-1, X uniform on [label, label + 2] (Gao et al. 2017, section 5)."""

    def draw(n: int, generator: np.random.Generator) -> tuple[FloatArray, IntArray]:
        labels = generator.integers(0, classes, n)
        return labels[:, None] + 2 * generator.random((n, 1)), labels

    truth = np.log2(classes) - (classes - 1) / classes
    return Problem("overlapping uniform classes", truth, draw, labelled=True)


def _two_normals(distance: float, dimension: int) -> Problem:
    """Two normal classes that differ along the diagonal; one coordinate tells all there is."""

    def draw(n: int, generator: np.random.Generator) -> tuple[FloatArray, IntArray]:
        labels = generator.integers(0, 2, n)
        shift = distance / np.sqrt(dimension) * labels[:, None]
        return generator.standard_normal((n, dimension)) + shift, labels

    def integrand(x: float) -> float:
        density = (stats.norm.pdf(x) + stats.norm.pdf(x - distance)) / 2
        return float(-density * np.log2(density))

    mixture_entropy, _ = integrate.quad(integrand, -12, 12 + distance, limit=200)
    truth = mixture_entropy - float(stats.norm.entropy()) * NATS
    return Problem(f"two normal classes, {dimension} unit(s)", truth, draw, labelled=True)


def _zero_inflated_poisson(zeros: float) -> Problem:
    """X ~ Exp(1), label 0 with this probability, else Poisson(X) (Gao et al. 2017, section 5)."""

    def draw(n: int, generator: np.random.Generator) -> tuple[FloatArray, IntArray]:
        x = generator.exponential(size=(n, 1))
        counts = generator.poisson(x[:, 0])
        return x, np.where(generator.random(n) < zeros, 0, counts)

    return Problem("zero-inflated Poisson", poisson_information(zeros), draw, labelled=True)


def poisson_information(zeros: float) -> float:
    """MI of X ~ Exp(1) with a Poisson(X) count that is 0 with probability `zeros` instead.

    The count k alone has probability 2^-(k+1), so I = H(Y) - E[H(Y | X)] is a sum over k.
    """
    k = np.arange(120)
    marginal = (1 - zeros) * 2.0 ** -(k + 1)
    marginal[0] += zeros

    def conditional_entropy(x: float) -> float:
        p = (1 - zeros) * stats.poisson.pmf(k, x)
        p[0] += zeros
        return float(special.entr(p).sum() * np.exp(-x))

    conditional, _ = integrate.quad(conditional_entropy, 0, 40, limit=200)
    return float((special.entr(marginal).sum() - conditional) * NATS)


def _separate_classes(n: int, generator: np.random.Generator) -> tuple[FloatArray, IntArray]:
    labels = generator.integers(0, 3, n)
    return 3 * labels[:, None] + generator.random((n, 2)), labels


def _label_by_chance(n: int, generator: np.random.Generator) -> tuple[FloatArray, IntArray]:
    return np.tanh(generator.standard_normal((n, 5))), generator.integers(0, 2, n)


def _quantised_layer() -> Problem:
    """A layer of 3 units and 4 bits over all 12 bit inputs, against the label of each input.

    Its information is counted over all 4096 inputs, which are drawn without repetition as long as
    there are some left.
    """
    generator = np.random.default_rng(0)
    inputs = (np.arange(4096)[:, None] >> np.arange(12)) & 1
    weights = generator.standard_normal((12, 3)) / 2
    layer = (np.floor(np.tanh((inputs - 0.5) @ weights) * 8) + 0.5) / 8
    labels = ((inputs - 0.5) @ weights[:, 0] + generator.standard_normal(4096) / 2 > 0).astype(int)

    def entropy(rows: np.ndarray[Any, Any]) -> float:
        _, counts = np.unique(rows, axis=0, return_counts=True)
        return float(special.entr(counts / counts.sum()).sum() * NATS)

    joint = np.column_stack([layer, labels])
    truth = entropy(layer) + entropy(labels) - entropy(joint)

    def draw(n: int, generator: np.random.Generator) -> tuple[FloatArray, IntArray]:
        rounds = [generator.permutation(4096) for _ in range(-(-n // 4096))]
        chosen = np.concatenate(rounds)[:n]
        return layer[chosen], labels[chosen]

    return Problem("quantised layer, 3 units, 4 bits", truth, draw, labelled=True)
