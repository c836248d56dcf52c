import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import digamma

from deep_bottleneck.information.neighbors import (
    check_continuous,
    ksg,
    ksg_ceiling,
    label_information,
    standardised,
)


def distances(points):
    """All distances in the maximum norm, with the example itself infinitely far."""
    apart = np.abs(points[:, None] - points[None]).max(axis=2)
    np.fill_diagonal(apart, np.inf)
    return apart


def ksg_by_definition(x, y, k, algorithm):
    """Kraskov et al. (2004), eqs. 8 and 9, with all pairs at once."""
    in_x, in_y = distances(x), distances(y)
    joint = np.maximum(in_x, in_y)
    start = digamma(k) + digamma(len(x))
    if algorithm == 1:
        radius = np.sort(joint, axis=1)[:, [k - 1]]
        n_x, n_y = ((apart < radius).sum(axis=1) for apart in (in_x, in_y))
        nats = start - np.mean(digamma(n_x + 1) + digamma(n_y + 1))
    else:
        nearest = np.argsort(joint, axis=1)[:, :k]
        n_x, n_y = (
            (apart <= np.take_along_axis(apart, nearest, axis=1).max(axis=1)[:, None]).sum(axis=1)
            for apart in (in_x, in_y)
        )
        nats = start - 1 / k - np.mean(digamma(n_x) + digamma(n_y))
    return nats / np.log(2)


def label_information_by_definition(points, labels, k):
    """Ross (2014), eq. 2: m counts the examples up to the k-th neighbour in the class."""
    apart = distances(points)
    within = np.where(labels[:, None] == labels, apart, np.inf)
    radius = np.sort(within, axis=1)[:, [k - 1]]
    m = (apart <= radius).sum(axis=1)
    sizes = np.bincount(labels)[labels]
    nats = digamma(len(labels)) + digamma(k) - np.mean(digamma(sizes) + digamma(m))
    return nats / np.log(2)


def gaussians(n_examples, n_units, correlation, seed=0):
    """Pairs of vectors whose coordinates correlate, and what they tell about each other."""
    x, noise = np.random.default_rng(seed).standard_normal((2, n_examples, n_units))
    y = correlation * x + np.sqrt(1 - correlation**2) * noise
    return x, y, -n_units / 2 * np.log2(1 - correlation**2)


sizes = st.tuples(st.integers(12, 300), st.integers(1, 8), st.integers(1, 8), st.integers(0, 999))
neighbours = st.integers(1, 10)


@given(sizes, neighbours, st.sampled_from([1, 2]))
@settings(max_examples=60, deadline=None)
def test_ksg_equals_its_definition(problem, k, algorithm):
    n_examples, n_x, n_y, seed = problem
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((n_examples, n_x))
    y = generator.standard_normal((n_examples, n_y)) + x[:, :1]

    information = ksg(x[None], y[None], k, algorithm)

    assert information.item() == pytest.approx(ksg_by_definition(x, y, k, algorithm), abs=1e-9)


@given(sizes, st.integers(1, 4), st.integers(2, 4))
@settings(max_examples=60, deadline=None)
def test_label_information_equals_its_definition(problem, k, n_classes):
    n_examples, n_units, _, seed = problem
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.arange(10 + n_examples * 2) % n_classes)
    points = generator.standard_normal((len(labels), n_units)) + labels[:, None]

    information = label_information(points[None], labels, k)

    expected = label_information_by_definition(points, labels, k)
    assert information.item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("algorithm", [1, 2])
@pytest.mark.parametrize(("n_x", "n_y"), [(1, 1), (3, 2), (10, 12)])
def test_float32_activations_equal_the_definition(algorithm, n_x, n_y):
    """Squashed and far apart: many differences are rounded, some far ones are equal."""
    generator = np.random.default_rng(0)
    x = np.tanh(3 * generator.standard_normal((2, 900, n_x))).astype(np.float32)
    y = 1e3 + np.tanh(x.sum(axis=2, keepdims=True) + generator.standard_normal((2, 900, n_y)))

    information = ksg(x, y, 3, algorithm)

    expected = [
        ksg_by_definition(*run, 3, algorithm) for run in zip(x.astype(float), y, strict=True)
    ]
    np.testing.assert_allclose(information, expected, atol=1e-9)


@pytest.mark.parametrize(("n_units", "estimate", "truth"), [(1, 0.736, 0.737), (5, 2.83, 3.685)])
def test_the_known_estimates_of_gaussians(n_units, estimate, truth):
    x, y, known = gaussians(4096, n_units, 0.8)

    assert known == pytest.approx(truth, abs=1e-3)
    assert ksg(x[None], y[None], k=3).item() == pytest.approx(estimate, abs=0.05)


@pytest.mark.parametrize("algorithm", [1, 2])
def test_independent_variables_tell_nothing(algorithm):
    x, y, _ = gaussians(2000, 2, 0.0)

    assert ksg(x[None], y[None], 3, algorithm).item() == pytest.approx(0, abs=0.08)


@pytest.mark.parametrize("algorithm", [1, 2])
@pytest.mark.parametrize("k", [1, 3, 7])
def test_a_variable_about_itself_reaches_the_ceiling(algorithm, k):
    x = np.random.default_rng(0).standard_normal((1, 200, 1))

    information = ksg(x, x, k, algorithm).item()

    assert information == pytest.approx(ksg_ceiling(200, k, algorithm), abs=1e-9)


@given(sizes, neighbours, st.sampled_from([1, 2]))
@settings(max_examples=30, deadline=None)
def test_nothing_exceeds_the_ceiling(problem, k, algorithm):
    n_examples, n_x, _, seed = problem
    x = np.random.default_rng(seed).standard_normal((1, n_examples, n_x))

    information = ksg(x, np.exp(x), k, algorithm).item()

    assert information <= ksg_ceiling(n_examples, k, algorithm) + 1e-9


@pytest.mark.parametrize("algorithm", [1, 2])
def test_orders_of_examples_and_units_and_a_common_scale_do_not_matter(algorithm):
    x, y, _ = gaussians(600, 4, 0.6)
    generator = np.random.default_rng(1)
    examples, units = generator.permutation(600), generator.permutation(4)

    information = ksg(x[None], y[None], 3, algorithm).item()
    shuffled = ksg(x[None, examples][..., units], y[None, examples], 3, algorithm).item()
    scaled = ksg(4 * x[None], 4 * y[None], 3, algorithm).item()
    swapped = ksg(y[None], x[None], 3, algorithm).item()

    assert shuffled == pytest.approx(information, abs=1e-9)
    assert scaled == pytest.approx(information, abs=1e-9)
    assert swapped == pytest.approx(information, abs=1e-9)


def test_runs_together_equal_run_by_run_and_may_share_the_inputs():
    generator = np.random.default_rng(0)
    x, y = generator.standard_normal((1, 300, 2)), generator.standard_normal((3, 300, 2))
    y += np.array([0, 1, 2])[:, None, None] * x

    together = ksg(x, torch.from_numpy(y))

    assert together.shape == (3,)
    assert together.tolist() == [ksg(x, run[None]).item() for run in y]
    assert together[0] < together[1] < together[2]


def test_far_classes_tell_the_whole_label():
    labels = np.arange(900) % 3
    points = np.random.default_rng(0).standard_normal((2, 900, 2)) + 100 * labels[:, None]

    information = label_information(points, labels)

    # psi of the class sizes stands for their logarithm
    np.testing.assert_allclose(information, np.log2(3), atol=0.01)


def test_overlapping_uniform_classes_have_a_closed_form():
    """On [0, 2] and [1, 3]: half of the examples are ambiguous, so I = 1/2 bit."""
    labels = np.arange(4000) % 2
    points = np.random.default_rng(0).uniform(0, 2, 4000) + labels

    information = label_information(points[None, :, None], labels)

    assert information.item() == pytest.approx(0.5, abs=0.04)


def test_labels_that_have_nothing_to_do_with_it_tell_nothing():
    generator = np.random.default_rng(0)
    points, labels = generator.standard_normal((1, 3000, 3)), generator.integers(0, 4, 3000)

    assert label_information(points, labels).item() == pytest.approx(0, abs=0.05)


GENERATOR = np.random.default_rng(0)
CONTINUOUS = GENERATOR.standard_normal((1, 200, 2))
DISCRETE = {
    "binary patterns": (np.arange(256)[:, None] >> np.arange(8) & 1)[None, :200],
    "integers": GENERATOR.integers(0, 50, (1, 200, 2)),
    "one decimal": CONTINUOUS.round(1),
    "a constant": np.ones((1, 200, 2)),
    "every row twice": CONTINUOUS[:, np.arange(200) // 2],
    "a grid": np.arange(200.0)[None, :, None],
    "dead units": np.maximum(CONTINUOUS - 1, 0),
}


@pytest.mark.parametrize("points", DISCRETE.values(), ids=DISCRETE.keys())
@pytest.mark.parametrize("k", [1, 3, 4])
def test_ill_defined_data_says_so(points, k):
    labels = np.arange(200) % 2

    with pytest.raises(ValueError, match=r"x has no continuous values.*exactly the same distance"):
        ksg(points, CONTINUOUS, k)
    with pytest.raises(ValueError, match="y has no continuous values"):
        ksg(CONTINUOUS, points, k)
    with pytest.raises(ValueError, match=r"no continuous values.*method for discrete values"):
        label_information(points, labels, k)


def test_a_few_coincident_examples_say_so():
    points = CONTINUOUS.copy()
    points[0, :4] = 0.0

    with pytest.raises(ValueError, match="an example coincides with 3 others"):
        ksg(points, points)


def test_saturated_units_do_no_harm_while_others_vary():
    generator = np.random.default_rng(0)
    corners = generator.choice([-1.0, 1.0], (500, 2))
    points = np.hstack([corners, generator.standard_normal((500, 2))])

    check_continuous(points, k=3)


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e200, 1e-200])
def test_standardised_units_have_mean_0_and_deviation_1(scale):
    points = np.random.default_rng(0).normal(5, [1, 10, 100], (2, 200, 3))

    found = standardised(scale * points).numpy()

    expected = (points - points.mean(axis=1, keepdims=True)) / points.std(axis=1, keepdims=True)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_constant_unit_stays_constant():
    assert (standardised(np.full((1, 7, 2), 0.1)) == 0).all()


def test_a_lattice_is_one_in_any_unit():
    lattice = np.arange(300.0)[:, None]

    for points in (lattice, lattice / 7, standardised(lattice)):
        with pytest.raises(ValueError, match="no continuous values"):
            check_continuous(points, k=3)


def test_float32_is_continuous_enough():
    check_continuous(np.random.default_rng(0).standard_normal((100_000, 1), np.float32), k=3)


@pytest.mark.parametrize(
    ("x", "y", "k", "algorithm", "sentence"),
    [
        (CONTINUOUS, CONTINUOUS * np.nan, 3, 1, "y is NaN or infinite"),
        (CONTINUOUS + np.inf, CONTINUOUS, 3, 1, "x is NaN or infinite"),
        (CONTINUOUS, CONTINUOUS, 0, 1, "k must be at least 1 .*, got 0"),
        (CONTINUOUS, CONTINUOUS, 200, 1, "less than the number of examples, 200, got 200"),
        (CONTINUOUS, CONTINUOUS, 3, 3, "algorithm must be 1 or 2, got 3"),
        (CONTINUOUS, CONTINUOUS[:, :100], 3, 1, "as many runs and examples"),
        (CONTINUOUS[0], CONTINUOUS, 3, 1, r"x of shape \(runs, n_examples, n_units\)"),
        (CONTINUOUS, CONTINUOUS[..., :0], 3, 1, r"got \(1, 200, 0\)"),
    ],
)
def test_bad_input_is_named(x, y, k, algorithm, sentence):
    with pytest.raises(ValueError, match=sentence):
        ksg(x, y, k, algorithm)


@pytest.mark.parametrize(
    ("labels", "k", "sentence"),
    [
        (np.zeros(200, int), 3, "all 200 examples are of class 0.*at least two classes"),
        (np.arange(200) // 197, 3, "class 1 has 3 examples.*need at least 4"),
        (np.arange(200) % 2, 200, "k must be at least 1 and less"),
        (np.arange(100) % 2, 3, "one label for each of 200 examples"),
    ],
)
def test_bad_labels_are_named(labels, k, sentence):
    with pytest.raises(ValueError, match=sentence):
        label_information(CONTINUOUS, labels, k)


@pytest.mark.gpu
@pytest.mark.parametrize("algorithm", [1, 2])
def test_a_gpu_gives_what_a_cpu_gives(algorithm):
    x, y, _ = gaussians(700, 3, 0.7)
    points, others = torch.from_numpy(x)[None], torch.from_numpy(y)[None]
    labels = torch.arange(700) % 3

    on_gpu = ksg(points.cuda(), others.cuda(), 3, algorithm)

    assert on_gpu.is_cuda
    torch.testing.assert_close(on_gpu.cpu(), ksg(points, others, 3, algorithm), atol=1e-9, rtol=0)
    torch.testing.assert_close(
        label_information(points.cuda(), labels.cuda()).cpu(),
        label_information(points, labels),
        atol=1e-9,
        rtol=0,
    )
