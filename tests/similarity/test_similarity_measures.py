"""Measures of similarity against closed cases and NumPy written after the papers."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deep_bottleneck.errors import UnresolvedWarning
from deep_bottleneck.similarity import cka, pwcca, svcca

N_EXAMPLES = 200


def rbf_cka(x, y):
    return cka(x, y, kernel="rbf")


def minibatch_cka(x, y):
    return cka(x, y, batch_size=50)


def minibatch_rbf_cka(x, y):
    return cka(x, y, kernel="rbf", batch_size=50)


SYMMETRIC = [svcca, cka, rbf_cka, minibatch_cka, minibatch_rbf_cka]
ALL = [*SYMMETRIC, pwcca]


def gaussian(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def rotation(size, seed=1):
    return np.linalg.qr(gaussian(size, size, seed=seed))[0]


def related(seed=0, n_examples=N_EXAMPLES):
    """Two representations that have something in common."""
    x = gaussian(n_examples, 6, seed=seed) * [3, 2, 1, 1, 0.5, 0.2]
    y = np.tanh(x @ gaussian(6, 4, seed=seed + 1)) + 0.3 * gaussian(n_examples, 4, seed=seed + 2)
    return x + 5, y - 2


@pytest.mark.parametrize("measure", ALL)
def test_a_representation_is_as_similar_to_itself_as_can_be(measure):
    x, _ = related()

    assert measure(x, x).item() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("measure", ALL)
def test_rotation_shift_and_uniform_scaling_change_nothing(measure):
    x, y = related()

    changed = 7 * y @ rotation(4) + 100

    assert measure(x, changed).item() == pytest.approx(measure(x, y).item(), abs=1e-9)


@pytest.mark.parametrize("measure", ALL)
@pytest.mark.parametrize("scale", [1e-300, 1e-100, 1e100, 1e150, 1e300])
def test_no_scale_is_too_large_or_too_small(measure, scale):
    x, y = related()

    assert measure(x * scale, x).item() == pytest.approx(1, abs=1e-9)
    assert measure(x * scale, y).item() == pytest.approx(measure(x, y).item(), abs=1e-9)
    assert measure(y, x * scale).item() == pytest.approx(measure(y, x).item(), abs=1e-9)


def test_any_invertible_transformation_leaves_canonical_correlations_alone():
    x, y = related()
    mixed = y @ gaussian(4, 4, seed=9)

    assert pwcca(x, mixed).item() == pytest.approx(pwcca(x, y).item(), abs=1e-9)
    assert svcca(x, mixed, 1).item() == pytest.approx(svcca(x, y, 1).item(), abs=1e-9)
    assert abs(cka(x, mixed) - cka(x, y)) > 0.01


@pytest.mark.parametrize("measure", SYMMETRIC)
def test_order_does_not_matter(measure):
    x, y = related()

    assert measure(x, y).item() == pytest.approx(measure(y, x).item(), abs=1e-12)


def test_of_one_unit_each_it_is_the_squared_correlation_or_the_correlation():
    x, y = (part[:, :1] for part in related())
    correlation = np.corrcoef(x.T, y.T)[0, 1]

    assert cka(x, y).item() == pytest.approx(correlation**2)
    assert svcca(x, y).item() == pytest.approx(abs(correlation))
    assert pwcca(x, y).item() == pytest.approx(abs(correlation))


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_the_minibatch_estimate_of_independent_gaussians_is_unbiased(kernel):
    x, y = gaussian(300, 64, 20), gaussian(300, 64, 20, seed=1)

    unbiased = cka(x, y, kernel, batch_size=16)

    assert abs(unbiased.mean()) < 3 * unbiased.std() / np.sqrt(300)
    assert cka(x, y, kernel).mean() > 0.2


def test_independent_gaussians_have_the_canonical_correlation_of_random_subspaces():
    """The squared correlations of p and q random directions of n have the mean max(p, q) / n."""
    x, y = gaussian(20, 1001, 10), gaussian(20, 1001, 30, seed=1)

    found = svcca(x, y, 1.0)

    assert found.max() < 0.25
    assert found.mean().item() == pytest.approx(np.sqrt(30 / 1000), rel=0.1)


def numpy_correlations(x, y):
    """Canonical correlations by inverted covariances, as Hotelling has them."""
    x, y = x - x.mean(0), y - y.mean(0)
    within_x, within_y, between = x.T @ x, y.T @ y, x.T @ y
    squared = np.linalg.solve(within_x, between) @ np.linalg.solve(within_y, between.T)
    values, directions = np.linalg.eig(squared)
    order = np.argsort(values.real)[::-1][: min(x.shape[1], y.shape[1])]
    variables = x @ directions.real[:, order]
    return np.sqrt(values.real[order]), variables / np.linalg.norm(variables, axis=0)


def numpy_svcca(x, y, variance):
    def reduced(z):
        values, directions = np.linalg.eigh(np.cov(z.T))
        values, directions = values[::-1], directions[:, ::-1]
        n_kept = 1 + np.searchsorted(np.cumsum(values) / values.sum(), variance)
        return z @ directions[:, :n_kept]

    return numpy_correlations(reduced(x), reduced(y))[0].mean()


def numpy_pwcca(x, y):
    correlations, variables = numpy_correlations(x, y)
    weights = np.abs(variables.T @ (x - x.mean(0))).sum(1)
    return (weights * correlations).sum() / weights.sum()


def numpy_gram(x, kernel):
    if kernel == "linear":
        return x @ x.T
    distances = np.linalg.norm(x[:, None] - x[None], axis=-1)
    pairs = np.sort(distances[np.triu_indices(len(x), 1)])
    return np.exp(-(distances**2) / (2 * pairs[(len(pairs) - 1) // 2] ** 2))


def numpy_cka(x, y, kernel):
    n = len(x)
    centring = np.eye(n) - 1 / n
    k, m = (centring @ numpy_gram(z, kernel) @ centring for z in (x, y))
    return np.trace(k @ m) / np.sqrt(np.trace(k @ k) * np.trace(m @ m))


def numpy_unbiased_hsic(k, m):
    n, ones = len(k), np.ones(len(k))
    k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
    middle = (ones @ k @ ones) * (ones @ m @ ones) / ((n - 1) * (n - 2))
    return (np.trace(k @ m) + middle - 2 / (n - 2) * ones @ k @ m @ ones) / (n * (n - 3))


@pytest.mark.parametrize("variance", [0.5, 0.9, 0.99, 1.0])
def test_svcca_is_that_of_the_paper(variance):
    x, y = related()

    assert svcca(x, y, variance).item() == pytest.approx(numpy_svcca(x, y, min(variance, 1 - 1e-9)))


def test_pwcca_is_that_of_the_paper():
    x, y = related()

    assert pwcca(x, y).item() == pytest.approx(numpy_pwcca(x, y))
    assert pwcca(y, x).item() == pytest.approx(numpy_pwcca(y, x))
    assert pwcca(x, y).item() != pytest.approx(pwcca(y, x).item())


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("n_examples", [5, N_EXAMPLES])
def test_cka_is_that_of_the_paper(kernel, n_examples):
    x, y = related(n_examples=n_examples)

    assert cka(x, y, kernel).item() == pytest.approx(numpy_cka(x, y, kernel))


def test_minibatches_take_every_nth_example_and_are_averaged_before_the_division():
    x, y = related()

    def averaged(first, second):
        batches = [(first[i::4] @ first[i::4].T, second[i::4] @ second[i::4].T) for i in range(4)]
        return np.mean([numpy_unbiased_hsic(k, m) for k, m in batches])

    expected = averaged(x, y) / np.sqrt(averaged(x, x) * averaged(y, y))
    assert cka(x, y, batch_size=50).item() == pytest.approx(expected)


@pytest.mark.parametrize("measure", ALL)
def test_leading_axes_are_batched_and_broadcast(measure):
    x, y = (np.stack(parts) for parts in zip(*(related(seed) for seed in range(3)), strict=True))

    together = measure(x[:, None], y[None])

    assert together.shape == (3, 3)
    assert together.dtype == torch.float64
    for row in range(3):
        for column in range(3):
            alone = measure(x[row], y[column])
            assert together[row, column].item() == pytest.approx(alone.item(), abs=1e-9)


@pytest.mark.parametrize("measure", ALL)
def test_dead_and_copied_units_do_no_harm(measure):
    x, y = related()
    more = np.concatenate([x, np.full((N_EXAMPLES, 2), 0.1)], axis=1)

    assert measure(more, y).item() == pytest.approx(measure(x, y).item(), abs=1e-9)
    assert pwcca(y, np.tile(x, 3)).item() == pytest.approx(pwcca(y, x).item(), abs=1e-9)


def test_where_most_examples_are_equal_only_equal_ones_are_similar():
    x = np.zeros((20, 1))
    x[:2, 0] = [1, 2]
    labels = np.eye(3)[[0, 1, *[2] * 18]]

    assert cka(x, labels, kernel="rbf").item() == pytest.approx(1)
    assert cka(x, labels).item() < 0.95


@pytest.mark.parametrize("measure", ALL)
@pytest.mark.parametrize("value", [0.1, np.nan, np.inf])
def test_a_representation_that_tells_nothing_has_no_similarity(measure, value):
    x, y = (np.stack([part, part]) for part in related())
    x[1] = 0.1
    x[1, 0, 0] = value

    found = measure(x, y)

    assert found[0] > 0
    assert torch.isnan(found[1])


@pytest.mark.parametrize("measure", ALL)
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 5), st.integers(1, 5))
def test_similarity_is_at_most_one_whatever_the_numbers_of_units(measure, seed, n_units, n_others):
    x, y = gaussian(60, n_units, seed=seed), gaussian(60, n_others, seed=seed + 1)

    assert measure(x.astype(np.float32), y) <= 1 + 1e-9


def test_too_few_examples_to_tell_directions_apart():
    with pytest.warns(UnresolvedWarning, match="30 directions .* by 20 examples"):
        found = svcca(gaussian(20, 15), gaussian(20, 15, seed=1), 1.0)

    assert found >= 11 / 15  # of 15 correlations 15 + 15 - 19 are 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, y: cka(x, y[1:]), "must be of the same examples, got 200 and 199"),
        (lambda x, y: svcca(x[:, 0], y), r"shape \(..., n_examples, n_units\), got \(200,\)"),
        (lambda x, y: svcca(x, y, 1.1), r"must be in \(0, 1\], got 1.1"),
        (lambda x, y: pwcca(x[:1], y[:1]), "PWCCA needs at least 2 examples, got 1"),
        (lambda x, y: cka(x, y, batch_size=3), "at least 4 examples, got 3"),
        (lambda x, y: cka(x[:3], y[:3], batch_size=4), "CKA needs at least 4 examples, got 3"),
        (lambda x, y: cka(x, y, kernel="cosine"), '"linear" or "rbf", got \'cosine\''),
        (lambda x, y: cka(x, y, "rbf", 0), "bandwidth must be a number above 0, got 0"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call(*related())


@pytest.mark.gpu
@pytest.mark.parametrize("measure", ALL)
def test_a_gpu_gives_what_a_cpu_gives(measure):
    x, y = map(torch.from_numpy, related())

    on_gpu = measure(x.cuda(), y.cuda())

    assert on_gpu.is_cuda
    torch.testing.assert_close(on_gpu.cpu(), measure(x, y), atol=1e-9, rtol=0)
