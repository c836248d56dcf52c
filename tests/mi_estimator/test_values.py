"""Estimates against the plainest NumPy of their definitions, written out run by run."""

import numpy as np
import pytest

from deep_bottleneck.mi_estimator import binning, lower, upper


def binned(activations, labels, width):
    """Saxe et al. (2018): H(M) and H(M) - sum_y p(y) H(M | Y=y) of the binned activations."""

    def entropy(rows):
        _, counts = np.unique(np.floor(rows / np.float32(width)), axis=0, return_counts=True)
        frequencies = counts / len(rows)
        return -np.sum(frequencies * np.log2(frequencies))

    return about_both(entropy, activations, labels)


def upper_bound(activations, labels, variance):
    """Saxe et al. (2018), after Kolchinsky & Tracey (2017), eq. 10."""
    return about_both(lambda rows: mixture(rows, 2 * variance), activations, labels)


def lower_bound(activations, labels, variance):
    """Kolchinsky & Tracey (2017), eq. 13."""
    return about_both(lambda rows: mixture(rows, 8 * variance), activations, labels)


def mixture(rows, scale):
    squared = ((rows[:, None] - rows[None, :]) ** 2).sum(axis=2)
    return -np.mean(np.log2(np.mean(np.exp(-squared / scale), axis=1)))


def about_both(information, activations, labels):
    total = information(activations)
    within = [np.mean(labels == y) * information(activations[labels == y]) for y in set(labels)]
    return total, total - sum(within)


ESTIMATORS = pytest.mark.parametrize(
    ("estimator", "reference"),
    [(binning, binned), (upper, upper_bound), (lower, lower_bound)],
    ids=["binning", "upper", "lower"],
)


@ESTIMATORS
@pytest.mark.parametrize("parameter", [0.07, 0.5])
@pytest.mark.parametrize("n_units", [1, 10])
def test_values_equal_the_definition(estimator, reference, parameter, n_units):
    generator = np.random.default_rng(0)
    activations = np.tanh(generator.standard_normal((3, 500, n_units))).astype(np.float32)
    labels = (activations[0].sum(axis=1) > 0).astype(np.int64)

    information = estimator.load(parameter).estimate(activations, labels)

    expected = [reference(run, labels, parameter) for run in activations]
    np.testing.assert_allclose(
        np.stack([information.mi_xm, information.mi_ym], axis=1), expected, atol=1e-5
    )


@ESTIMATORS
def test_orders_of_samples_and_neurons_do_not_matter(estimator, reference):
    generator = np.random.default_rng(0)
    activations = np.tanh(generator.standard_normal((2, 400, 5))).astype(np.float32)
    labels = generator.integers(0, 4, 400)
    samples, neurons = generator.permutation(400), generator.permutation(5)

    information = estimator.load(0.1).estimate(activations, labels)
    shuffled = estimator.load(0.1).estimate(activations[:, samples][..., neurons], labels[samples])

    np.testing.assert_allclose(shuffled.mi_xm, information.mi_xm, atol=1e-6)
    np.testing.assert_allclose(shuffled.mi_ym, information.mi_ym, atol=1e-6)


@ESTIMATORS
def test_runs_together_equal_run_by_run(estimator, reference):
    generator = np.random.default_rng(0)
    activations = np.tanh(generator.standard_normal((9, 300, 5))).astype(np.float32)
    labels = generator.integers(0, 4, 300)

    together = estimator.load(0.1).estimate(activations, labels)
    alone = [estimator.load(0.1).estimate(run[None], labels) for run in activations]

    np.testing.assert_allclose(together.mi_xm, [each.mi_xm[0] for each in alone], atol=1e-6)
    np.testing.assert_allclose(together.mi_ym, [each.mi_ym[0] for each in alone], atol=1e-6)


def test_the_lower_bound_is_below_the_upper():
    activations = np.random.default_rng(0).standard_normal((4, 300, 3)).astype(np.float32)
    labels = np.arange(300) % 2

    below = lower.load(0.1).estimate(activations, labels)
    above = upper.load(0.1).estimate(activations, labels)

    assert np.all(below.mi_xm < above.mi_xm)


def test_finer_bins_tell_more():
    activations = np.random.default_rng(0).standard_normal((2, 300, 2)).astype(np.float32)
    labels = np.arange(300) % 2

    coarse, fine = (binning.load(w).estimate(activations, labels) for w in (0.5, 0.25))

    assert np.all(coarse.mi_xm < fine.mi_xm)
