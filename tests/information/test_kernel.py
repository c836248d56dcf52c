import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deep_bottleneck.information.kernel import (
    kernel_entropy,
    kernel_information,
    kernel_label_information,
    rule_of_thumb_width,
)


def gram(points, width):
    squared = ((points[:, None] - points[None]) ** 2).sum(axis=2)
    return np.exp(-squared / (2 * width**2))


def same_class(labels):
    return (labels[:, None] == labels).astype(float)


def by_definition(matrix, alpha):
    """Giraldo et al. (2015), definition 2, from all eigenvalues."""
    values = np.linalg.eigvalsh(matrix / np.trace(matrix))
    values = values[values > 1e-13]
    if alpha == 1:
        return -np.sum(values * np.log2(values))
    return np.log2(np.sum(values**alpha)) / (1 - alpha)


def information_by_definition(a, b, alpha):
    return by_definition(a, alpha) + by_definition(b, alpha) - by_definition(a * b, alpha)


problems = st.tuples(st.integers(1, 150), st.integers(1, 5), st.integers(0, 999))
orders = st.sampled_from([0.5, 1.0, 1.01, 2.0, 3.0])


@given(problems, orders, st.sampled_from([0.05, 0.5, 5.0]))
@settings(max_examples=60, deadline=None)
def test_informations_equal_their_definition(problem, alpha, width):
    n_examples, n_units, seed = problem
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((n_examples, 2))
    y = np.tanh(x[:, :1] + generator.standard_normal((n_examples, n_units)))
    labels = generator.integers(0, 3, n_examples)

    about_x = kernel_information(x[None], y[None], (0.7, width), alpha).item()
    about_label = kernel_label_information(y[None], labels, width, alpha).item()

    of_x, of_y = gram(x, 0.7), gram(y, width)
    assert about_x == pytest.approx(information_by_definition(of_x, of_y, alpha), abs=1e-5)
    assert about_label == pytest.approx(
        information_by_definition(same_class(labels), of_y, alpha), abs=1e-5
    )


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [1.01, 2.0])
def test_the_order_of_two_needs_no_eigenvalues_across_tiles(alpha):
    points = np.random.default_rng(0).standard_normal((1300, 3))

    entropy = kernel_entropy([points[None]], [0.5], alpha).item()

    assert entropy == pytest.approx(by_definition(gram(points, 0.5), alpha), abs=1e-9)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 1.01, 2.0])
def test_three_variables_are_a_product_of_three_matrices(alpha):
    variables = list(np.random.default_rng(0).standard_normal((3, 100, 2)))
    widths = [0.5, 1.0, 2.0]

    entropy = kernel_entropy([v[None] for v in variables], widths, alpha).item()

    matrices = [gram(v, width) for v, width in zip(variables, widths, strict=True)]
    assert entropy == pytest.approx(by_definition(np.prod(matrices, axis=0), alpha), abs=1e-9)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 1.01, 2.0])
def test_far_examples_have_the_entropy_of_their_number_and_equal_ones_none(alpha):
    far = 100.0 * np.arange(64)[None, :, None]

    assert kernel_entropy([far], [0.1], alpha).item() == pytest.approx(6)
    assert kernel_entropy([np.ones((1, 64, 3))], [0.1], alpha).item() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("alpha", [1.0, 1.01, 2.0])
def test_a_discrete_variable_about_itself_is_its_entropy(alpha):
    """For kernel values 0 and 1 only, the product with itself is the matrix again."""
    values = 100.0 * np.random.default_rng(0).integers(0, 5, (1, 200, 1))

    information = kernel_information(values, values, (1.0, 1.0), alpha).item()

    assert information == pytest.approx(kernel_entropy([values], [1.0], alpha).item(), abs=1e-9)


@pytest.mark.parametrize("alpha", [1.0, 1.01, 2.0])
def test_far_classes_tell_the_whole_label(alpha):
    labels = np.arange(90) % 3
    points = 100.0 * labels[None, :, None] + np.zeros((2, 90, 2))

    information = kernel_label_information(points, labels, 1.0, alpha)

    np.testing.assert_allclose(information, np.log2(3), atol=1e-9)


@given(problems, orders)
@settings(max_examples=30, deadline=None)
def test_orders_of_examples_and_units_do_not_matter(problem, alpha):
    n_examples, n_units, seed = problem
    generator = np.random.default_rng(seed)
    x, y = generator.standard_normal((2, 1, n_examples, n_units))
    examples, units = generator.permutation(n_examples), generator.permutation(n_units)

    information = kernel_information(x, y, (1.0, 1.0), alpha).item()
    shuffled = kernel_information(x[:, examples][..., units], y[:, examples], (1.0, 1.0), alpha)

    assert shuffled.item() == pytest.approx(information, abs=1e-5)


@given(problems, orders)
@settings(max_examples=30, deadline=None)
def test_joint_entropy_is_at_least_each_of_its_parts(problem, alpha):
    n_examples, n_units, seed = problem
    x, y = np.random.default_rng(seed).standard_normal((2, 1, n_examples, n_units))

    alone = [kernel_entropy([v], [0.5], alpha).item() for v in (x, y)]
    joint = kernel_entropy([x, y], [0.5, 0.5], alpha).item()

    assert max(alone) - 1e-5 <= joint <= np.log2(n_examples) + 1e-6


def test_repeated_examples_cost_no_memory_and_change_nothing():
    points = np.random.default_rng(0).standard_normal((50, 2))
    repeated = np.repeat(points, 40, axis=0)

    entropy = kernel_entropy([repeated[None]], [0.5], memory_limit=3 * 8 * 50**2).item()

    assert entropy == pytest.approx(kernel_entropy([points[None]], [0.5]).item(), abs=1e-9)


def test_runs_together_equal_run_by_run_and_may_share_the_inputs():
    generator = np.random.default_rng(0)
    x, y = generator.standard_normal((1, 80, 2)), generator.standard_normal((3, 80, 2))

    together = kernel_information(x, torch.from_numpy(y), (1.0, 0.5))

    alone = [kernel_information(x, run[None], (1.0, 0.5)).item() for run in y]
    np.testing.assert_allclose(together, alone, atol=1e-12)


def test_the_rule_of_thumb_follows_spread_size_and_dimension():
    corners = np.random.default_rng(0).choice([-1.0, 1.0], (1, 400, 4))

    widths = rule_of_thumb_width(corners * np.array([0, 1, 3])[:, None, None], 2.0)

    expected = 2 * 400 ** (-1 / 8) * np.array([0, 1, 3])
    np.testing.assert_allclose(widths, expected, rtol=0.01)


def test_each_run_may_have_a_width_of_its_own():
    points = np.random.default_rng(0).standard_normal((2, 80, 3))

    together = kernel_entropy([points], [torch.tensor([0.5, 2.0])]).tolist()

    alone = [kernel_entropy([points[[0]]], [0.5]), kernel_entropy([points[[1]]], [2.0])]
    assert together == pytest.approx([each.item() for each in alone])


POINTS = np.random.default_rng(0).standard_normal((1, 20, 2))


@pytest.mark.parametrize(
    ("x", "y", "width", "alpha", "sentence"),
    [
        (POINTS, POINTS * np.nan, 1.0, 2.0, "NaN, infinite or more than 100000 kernel widths"),
        (POINTS * np.inf, POINTS, 1.0, 1.01, "NaN, infinite or more than 100000 kernel widths"),
        (POINTS, POINTS, 1e-6, 2.0, "more than 100000 kernel widths from their mean"),
        (POINTS, POINTS, 0.0, 2.0, "kernel width must be positive and finite, got 0"),
        (POINTS, POINTS, 1.0, 0.0, "alpha must be positive and finite, got 0"),
        (POINTS, POINTS, 1.0, np.inf, "alpha must be positive and finite, got inf"),
        (POINTS, POINTS[:, :9], 1.0, 2.0, r"as many runs and examples.*\(1, 9, 2\)"),
        (POINTS[0], POINTS, 1.0, 2.0, r"shape \(runs, n_examples, n_units\)"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_bad_input_is_named(x, y, width, alpha, sentence):
    with pytest.raises(ValueError, match=sentence):
        kernel_information(x, y, (width, width), alpha)


def test_too_large_a_matrix_is_refused_before_it_is_made():
    points = np.random.default_rng(0).standard_normal((1, 2000, 1))

    with pytest.raises(ValueError, match=r"2000 distinct examples take 0\.1 GiB.*alpha = 2"):
        kernel_entropy([points], [1.0], memory_limit=2**20)


@pytest.mark.parametrize("n_examples", [100, 600])
def test_runs_measured_together_are_measured_as_if_alone(n_examples):
    points = np.random.default_rng(0).standard_normal((30, n_examples, 2))
    labels = np.arange(n_examples) % 3

    together = kernel_entropy([points], [0.5], 2, labels)

    alone = torch.cat([kernel_entropy([run[None]], [0.5], 2, labels) for run in points])
    torch.testing.assert_close(together, alone, atol=1e-12, rtol=0)


@pytest.mark.gpu
@pytest.mark.parametrize("alpha", [1.01, 2.0])
def test_a_gpu_gives_what_a_cpu_gives(alpha):
    x, y = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 2, 700, 3)))
    labels = torch.arange(700) % 3

    on_gpu = kernel_information(x.cuda(), y.cuda(), (1.0, 1.0), alpha)
    of_label = kernel_label_information(x.cuda(), labels.cuda(), 1.0, alpha)

    assert on_gpu.is_cuda
    expected = kernel_information(x, y, (1.0, 1.0), alpha)
    torch.testing.assert_close(on_gpu.cpu(), expected, atol=1e-9, rtol=0)
    expected = kernel_label_information(x, labels, 1.0, alpha)
    torch.testing.assert_close(of_label.cpu(), expected, atol=1e-9, rtol=0)
