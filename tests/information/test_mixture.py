import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import entropy as scipy_entropy

from deep_bottleneck.information import mixture
from deep_bottleneck.information.mixture import LOWER, UPPER, Bound, pairwise_bounds


def by_definition(points: np.ndarray, labels: np.ndarray, variance: float, width: float):
    """Entropy of the mixture less that of the noise, in float64, with the whole matrix at once."""

    def information(x: np.ndarray) -> float:
        squared = ((x[:, None] - x[None, :]) ** 2).sum(axis=2)
        return -np.mean(logsumexp(-squared / (width * variance), axis=1) - np.log(len(x))) / np.log(
            2
        )

    total = information(points)
    given_label = sum(np.mean(labels == y) * information(points[labels == y]) for y in set(labels))
    return total, total - given_label


def pairwise_bound(points, labels, variance: float, width: float = UPPER) -> Bound:
    (bound,) = pairwise_bounds(points, labels, variance, [width])
    return bound


problems = st.tuples(st.integers(2, 700), st.integers(1, 6), st.integers(1, 4), st.integers(0, 999))


@given(problems, st.sampled_from([1e-4, 1e-2, 1.0]), st.sampled_from([UPPER, LOWER]))
@settings(max_examples=40, deadline=None)
def test_bounds_equal_their_definition(problem, variance, width):
    n_examples, n_units, n_classes, seed = problem
    generator = np.random.default_rng(seed)
    points = np.tanh(generator.standard_normal((n_examples, n_units)))
    labels = generator.integers(0, n_classes, n_examples)

    bound = pairwise_bound(points[None], labels, variance, width)

    expected = by_definition(points, labels, variance, width)
    assert (bound.mi_xm.item(), bound.mi_ym.item()) == pytest.approx(expected, abs=1e-4)


@given(problems, st.sampled_from([1e-4, 1e-2, 1.0]), st.sampled_from([UPPER, LOWER]))
@settings(max_examples=40, deadline=None)
def test_information_about_the_label_is_within_its_limits(problem, variance, width):
    n_examples, n_units, n_classes, seed = problem
    generator = np.random.default_rng(seed)
    points = np.tanh(generator.standard_normal((1, n_examples, n_units)))
    labels = generator.integers(0, n_classes, n_examples)
    frequencies = np.bincount(labels) / n_examples
    label_entropy = scipy_entropy(frequencies, base=2)

    mi_xm, mi_ym = (value.item() for value in pairwise_bound(points, labels, variance, width))

    assert 0 <= mi_ym <= min(mi_xm, label_entropy) + 1e-4
    assert mi_xm <= np.log2(n_examples) + 1e-4


def test_both_bounds_at_once_equal_each_alone():
    generator = np.random.default_rng(0)
    points, labels = generator.standard_normal((2, 300, 3)), generator.integers(0, 3, 300)

    together = pairwise_bounds(points, labels, 0.1, [LOWER, UPPER])

    for bound, width in zip(together, [LOWER, UPPER], strict=True):
        alone = pairwise_bound(points, labels, 0.1, width)
        torch.testing.assert_close(bound.mi_xm, alone.mi_xm)
        torch.testing.assert_close(bound.mi_ym, alone.mi_ym)


@pytest.mark.parametrize("n_classes", [1, 7, 150, 600])
def test_any_number_of_classes(n_classes):
    generator = np.random.default_rng(0)
    points = np.tanh(generator.standard_normal((600, 4)))
    labels = generator.permutation(np.arange(600) % n_classes)

    bound = pairwise_bound(points[None], labels, 0.05)

    expected = by_definition(points, labels, 0.05, UPPER)
    assert (bound.mi_xm.item(), bound.mi_ym.item()) == pytest.approx(expected, abs=1e-6)


def test_relabelling_the_classes_changes_nothing():
    generator = np.random.default_rng(0)
    points, labels = generator.standard_normal((1, 300, 3)), generator.integers(0, 3, 300)

    renamed = np.array([5, 0, 2])[labels]

    torch.testing.assert_close(
        pairwise_bound(points, labels, 0.1).mi_ym, pairwise_bound(points, renamed, 0.1).mi_ym
    )


@pytest.mark.parametrize("distance", [1e1, 1e3, 1e6, 1e9])
@pytest.mark.parametrize("n_units", [1, 50])
def test_nothing_cancels_between_saturated_units(distance, n_units):
    """Two far clusters, within which the examples differ by about the noise."""
    generator = np.random.default_rng(0)
    cluster = generator.integers(0, 2, (300, 1))
    points = distance * cluster + generator.standard_normal((300, n_units)) / n_units**0.5

    bound = pairwise_bound(points[None], cluster[:, 0], 1.0)

    expected = by_definition(points, cluster[:, 0], 1.0, UPPER)
    assert (bound.mi_xm.item(), bound.mi_ym.item()) == pytest.approx(expected, abs=1e-5)


def test_far_apart_examples_are_all_told_apart():
    points = 100.0 * np.arange(256)[None, :, None]

    bound = pairwise_bound(points, np.arange(256) % 2, 0.1)

    assert bound.mi_xm.item() == pytest.approx(8)
    assert bound.mi_ym.item() == pytest.approx(1)


@pytest.mark.parametrize("width", [UPPER, LOWER])
def test_runs_that_spread_along_different_units_equal_their_definition(width):
    generator = np.random.default_rng(0)
    spread = np.array([[100.0, 1, 1], [1, 1, 30], [1, 1, 1]])[:, None]
    points = spread * generator.standard_normal((3, 1000, 3))
    labels = generator.integers(0, 3, 1000)

    bound = pairwise_bound(points, labels, 0.1, width)

    expected = np.array([by_definition(run, labels, 0.1, width) for run in points])
    np.testing.assert_allclose(np.stack(bound, axis=1), expected, atol=1e-6)


def test_examples_in_one_place_tell_nothing():
    bound = pairwise_bound(np.ones((1, 50, 3)), np.arange(50) % 2, 0.1)

    assert bound.mi_xm.item() == pytest.approx(0, abs=1e-9)
    assert bound.mi_ym.item() == pytest.approx(0, abs=1e-9)


@given(st.integers(0, 999), st.sampled_from([1e-3, 0.1]))
@settings(max_examples=20, deadline=None)
def test_the_lower_bound_is_below_the_upper(seed, variance):
    points = np.random.default_rng(seed).standard_normal((1, 100, 3))
    labels = np.zeros(100, np.int64)

    lower = pairwise_bound(points, labels, variance, LOWER).mi_xm.item()
    upper = pairwise_bound(points, labels, variance, UPPER).mi_xm.item()

    assert -1e-9 <= lower <= upper + 1e-6 <= np.log2(100) + 1e-5


def test_two_gaussians_bracket_the_true_information():
    """Between the bounds lies the entropy of the mixture, here by numerical integration."""
    variance, points = 0.3, np.array([-1.0, 1.0])
    grid = np.linspace(-6, 6, 20001)
    density = np.exp(-((grid[:, None] - points) ** 2) / (2 * variance)).mean(axis=1)
    density /= np.sqrt(2 * np.pi * variance)
    entropy = -np.trapezoid(density * np.log2(density), grid)
    truth = entropy - 0.5 * np.log2(2 * np.pi * np.e * variance)

    lower, upper = (
        pairwise_bound(points[None, :, None], np.array([0, 1]), variance, width).mi_xm.item()
        for width in (LOWER, UPPER)
    )

    assert lower < truth < upper


def test_runs_are_independent_and_order_does_not_matter():
    generator = np.random.default_rng(0)
    points, labels = generator.standard_normal((10, 600, 4)), generator.integers(0, 3, 600)
    order = generator.permutation(600)

    together = pairwise_bound(points, labels, 0.1)

    for run in range(10):
        alone = pairwise_bound(
            points[run : run + 1][:, order][..., ::-1].copy(), labels[order], 0.1
        )
        assert together.mi_xm[run].item() == pytest.approx(alone.mi_xm.item(), abs=1e-5)
        assert together.mi_ym[run].item() == pytest.approx(alone.mi_ym.item(), abs=1e-5)


@pytest.mark.parametrize(
    ("points", "labels", "variance", "sentence"),
    [
        (np.full((1, 3, 1), np.nan), [0, 0, 0], 0.1, "NaN, infinite or too large"),
        (np.full((1, 3, 1), np.inf), [0, 0, 0], 0.1, "NaN, infinite or too large"),
        (np.arange(3.0)[None, :, None] * 1e300, [0, 0, 0], 1e-30, "noise variance of 1e-30"),
        (np.zeros((1, 3, 1)), [0, 0, 0], 0.0, "must be positive"),
        (np.zeros((1, 3, 1)), [0, 0, 0], np.inf, "must be positive and finite, got inf"),
        (np.zeros((1, 3, 1)), [0, 0, 0], np.nan, "must be positive and finite, got nan"),
        (np.zeros((1, 0, 1)), [], 0.1, r"at least one run and example, got \(1, 0, 1\)"),
        (np.zeros((0, 3, 1)), [0, 0, 0], 0.1, r"at least one run and example, got \(0, 3, 1\)"),
        (np.zeros((3, 1)), [0, 0, 0], 0.1, r"\(runs, n_examples, n_units\)"),
        (np.zeros((1, 3, 1)), [0, 0], 0.1, "one label for each of 3 examples"),
        (np.zeros((1, 3, 1)), [0, -1, 0], 0.1, "labels from 0, got -1"),
    ],
)
def test_bad_input_is_named(points, labels, variance, sentence):
    with pytest.raises(ValueError, match=sentence):
        pairwise_bound(points, np.array(labels, np.int64), variance)


@pytest.mark.parametrize(("tile", "runs"), [(2048, 1), (16, 3)])
def test_the_size_of_tiles_does_not_matter(monkeypatch, tile, runs):
    """A GPU takes larger ones."""
    points = np.random.default_rng(0).standard_normal((4, 300, 3)).astype(np.float32)
    labels = np.arange(300) % 3
    (expected,) = pairwise_bounds(points, labels, 0.1, [UPPER])

    monkeypatch.setattr(mixture, "_TILE", tile)
    monkeypatch.setattr(mixture, "_RUNS", runs)
    (found,) = pairwise_bounds(points, labels, 0.1, [UPPER])

    np.testing.assert_allclose(found.mi_xm, expected.mi_xm, atol=1e-6)
    np.testing.assert_allclose(found.mi_ym, expected.mi_ym, atol=1e-6)


@pytest.mark.gpu
def test_a_gpu_gives_what_a_cpu_gives():
    generator = np.random.default_rng(0)
    points = torch.from_numpy(np.tanh(generator.standard_normal((3, 600, 4))))
    labels = torch.from_numpy(generator.integers(0, 3, 600))

    on_cpu = pairwise_bounds(points, labels, 0.01, [UPPER, LOWER])
    on_gpu = pairwise_bounds(points.cuda(), labels.cuda(), 0.01, [UPPER, LOWER])

    for expected, bound in zip(on_cpu, on_gpu, strict=True):
        assert bound.mi_xm.is_cuda
        torch.testing.assert_close(bound.mi_xm.cpu(), expected.mi_xm, atol=1e-6, rtol=0)
        torch.testing.assert_close(bound.mi_ym.cpu(), expected.mi_ym, atol=1e-6, rtol=0)
