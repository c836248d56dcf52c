import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deep_bottleneck.information.mixture import LOWER, UPPER, pairwise_bounds
from deep_bottleneck.information.monte_carlo import noisy_information


def layer(n_runs=2, n_examples=200, n_units=3, seed=0):
    generator = np.random.default_rng(seed)
    labels = np.arange(n_examples) % 2
    return generator.standard_normal((n_runs, n_examples, n_units)), labels


def by_integration(points, variance):
    """I(X;T) in bits of a representation with one unit, on a fine grid."""
    deviation = np.sqrt(variance)
    grid = np.linspace(points.min() - 8 * deviation, points.max() + 8 * deviation, 40001)
    kernels = np.exp(-((grid[:, None] - points[None]) ** 2) / (2 * variance))
    density = kernels.mean(axis=1) / np.sqrt(2 * np.pi * variance)
    step = grid[1] - grid[0]
    entropy = -np.sum(np.where(density > 0, density * np.log2(density + 1e-300), 0)) * step
    return entropy - 0.5 * np.log2(2 * np.pi * np.e * variance)


def test_it_equals_the_integral_within_its_error():
    activations, labels = layer(n_runs=3, n_examples=50, n_units=1)

    found = noisy_information(activations, labels, 0.05, draws=200)

    for run in range(3):
        total = by_integration(activations[run, :, 0], 0.05)
        within = [by_integration(activations[run, labels == y, 0], 0.05) for y in (0, 1)]
        assert abs(found.mi_xm[run] - total) < 4 * found.error_xm[run]
        assert abs(found.mi_ym[run] - (total - np.mean(within))) < 4 * found.error_ym[run]
        assert found.error_xm[run] < 0.02


@settings(max_examples=20, deadline=None)
@given(
    n_units=st.integers(1, 12),
    variance=st.floats(1e-3, 10),
    seed=st.integers(0, 2**16),
)
def test_it_lies_between_the_pairwise_bounds(n_units, variance, seed):
    activations, labels = layer(n_units=n_units, seed=seed)

    found = noisy_information(activations, labels, variance, draws=6)
    upper, lower = pairwise_bounds(activations, labels, variance, [UPPER, LOWER])

    margin = 5 * found.error_xm + 1e-4
    assert (found.mi_xm <= upper.mi_xm + margin).all()
    assert (found.mi_xm >= lower.mi_xm - margin).all()


def test_more_draws_err_less():
    activations, labels = layer()

    few, many = (noisy_information(activations, labels, 0.1, draws) for draws in (4, 64))

    np.testing.assert_allclose(many.error_xm, few.error_xm / 4, rtol=0.2)


def test_the_error_is_the_spread_over_seeds():
    activations, labels = layer(n_runs=1)

    found = [noisy_information(activations, labels, 0.1, seed=seed) for seed in range(60)]

    spread = np.std([float(each.mi_xm) for each in found])
    assert spread == pytest.approx(float(found[0].error_xm), rel=0.4)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"noise_variance": 0.0}, "must be positive, got 0"),
        ({"draws": 1}, "at least 2 draws"),
        ({"labels": np.zeros(3, np.int64)}, "one label for each"),
        ({"activations": np.full((1, 200, 3), np.nan)}, "NaN"),
        ({"activations": 1e9 * layer()[0]}, "too large for a noise variance of 0.1"),
        ({"activations": np.zeros((1, 0, 3)), "labels": np.zeros(0, np.int64)}, "no examples"),
    ],
)
def test_what_cannot_be_measured_says_so(changes, sentence):
    activations, labels = layer()
    arguments = {"activations": activations, "labels": labels, "noise_variance": 0.1, **changes}

    with pytest.raises(ValueError, match=sentence):
        noisy_information(**arguments)
