"""The truths of the truth bench, each found again in another way."""

import numpy as np
import pytest
from scipy import integrate, stats

from benchmarks.known_information import poisson_information, problems, student_information

PROBLEMS = {problem.name: problem for problem in problems()}


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
def test_draws_have_the_stated_kind(problem):
    x, y = problem.draw(50, np.random.default_rng(0))

    assert x.shape[0] == 50
    assert x.ndim == 2
    assert np.isfinite(x).all()
    assert y.ndim == (1 if problem.labelled else 2)
    assert problem.truth >= 0
    if problem.labelled:
        assert y.dtype.kind == "i"
        assert y.min() >= 0


def test_there_are_enough_of_each_kind():
    assert len(PROBLEMS) >= 12
    assert sum(problem.labelled for problem in PROBLEMS.values()) >= 4


@pytest.mark.parametrize(("dof", "dispersion"), [(3, 0.8), (5, 0.3)])
def test_student_by_averaging_log_density_ratios(dof, dispersion):
    joint = stats.multivariate_t([0, 0], [[1, dispersion], [dispersion, 1]], dof, seed=0)
    points = joint.rvs(400_000)
    alone = stats.t(dof).logpdf(points).sum(axis=1)

    sampled = np.mean(joint.logpdf(points) - alone) / np.log(2)

    assert student_information(dof, dispersion) == pytest.approx(sampled, abs=0.01)


def test_uniform_noise_by_integration():
    def integrand(y):
        density = (np.clip(y + 0.1, 0, 1) - np.clip(y - 0.1, 0, 1)) / 0.2
        return -density * np.log2(density) if density > 0 else 0.0

    entropy, _ = integrate.quad(integrand, -0.1, 1.1, limit=500, points=[0.1, 0.9])

    assert PROBLEMS["uniform noise, 0.1"].truth == pytest.approx(entropy - np.log2(0.2), abs=1e-6)


def test_poisson_as_published():
    """Gao et al. (2017): (1 - p) 0.3012 nats, for labels of which the extra zeros are told apart.

    Zeros of either origin look alike here, so the information is a little less.
    """
    assert poisson_information(0.0) * np.log(2) == pytest.approx(0.3012, abs=1e-3)
    assert poisson_information(0.15) < 0.85 * poisson_information(0.0)


def test_classes_by_averaging_log_density_ratios():
    x, labels = PROBLEMS["two normal classes, 1 unit(s)"].draw(400_000, np.random.default_rng(0))
    own = stats.norm.pdf(x[:, 0] - 2 * labels)
    mixture = (stats.norm.pdf(x[:, 0]) + stats.norm.pdf(x[:, 0] - 2)) / 2

    sampled = np.mean(np.log2(own / mixture))

    assert PROBLEMS["two normal classes, 1 unit(s)"].truth == pytest.approx(sampled, abs=0.005)
    assert PROBLEMS["two normal classes, 5 unit(s)"].truth == pytest.approx(sampled, abs=0.005)


def test_a_quantised_layer_by_counting_many_draws():
    problem = PROBLEMS["quantised layer, 3 units, 4 bits"]
    layer, labels = problem.draw(400_000, np.random.default_rng(0))

    def entropy(rows):
        _, counts = np.unique(rows, axis=0, return_counts=True)
        return stats.entropy(counts, base=2)

    counted = entropy(layer) + entropy(labels) - entropy(np.column_stack([layer, labels]))

    assert problem.truth == pytest.approx(counted, abs=0.01)
