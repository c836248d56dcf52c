import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.edge_reference import estimate_in_python
from deep_bottleneck.information.dependence_graph import dependence, edge, optimal_weights
from deep_bottleneck.information.hash_ensembles import CALIBRATED, PUBLISHED
from deep_bottleneck.information.hashing import hash_labels, hash_points

PLUG_IN = replace(CALIBRATED, adjusted=False)
seeds = st.integers(0, 2**32 - 1)


def gaussians(n_dimensions: int, correlation: float, n_samples: int = 4096):
    generator = np.random.default_rng(0)
    x, noise = generator.standard_normal((2, 1, n_samples, n_dimensions))
    return x, correlation * x + math.sqrt(1 - correlation**2) * noise


def about_label(points, labels, ensemble):
    hashed = hash_points(points, ensemble)
    return dependence(hashed, hash_labels(torch.as_tensor(labels), hashed.n_columns), ensemble)


@pytest.mark.parametrize("ensemble", [PUBLISHED, PLUG_IN], ids=["capped", "not capped"])
def test_the_same_hashes_give_the_value_of_the_published_algorithm(ensemble):
    generator = np.random.default_rng(0)
    examples = generator.integers(0, 2, (1500, 11)).astype(np.float32)
    activations = np.tanh(examples @ generator.standard_normal((3, 11, 4))).astype(np.float32)
    labels = (examples.sum(axis=1) > 5).astype(np.int64)

    about_input = edge(examples[None], activations, ensemble)
    label = about_label(activations, labels, ensemble)

    expected = [estimate_in_python(examples, run, labels, ensemble) for run in activations]
    np.testing.assert_allclose(np.stack([about_input, label], axis=1), expected, atol=1e-9)


@pytest.mark.parametrize("n_dimensions", [1, 2, 5, 10])
def test_calibrated_independent_variables_know_nothing_of_each_other(n_dimensions):
    assert edge(*gaussians(n_dimensions, 0)).item() == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(("correlation", "missing"), [(0.5, 0.03), (0.8, 0.08), (0.99, 0.3)])
def test_calibrated_estimates_of_two_gaussians_are_a_little_low(correlation, missing):
    truth = -0.5 * math.log2(1 - correlation**2)

    assert truth - missing < edge(*gaussians(1, correlation)).item() < truth


def test_calibrated_bandwidths_are_too_coarse_for_detail_in_many_dimensions():
    assert 0.8 < edge(*gaussians(5, 0.8)).item() < 1.3  # of 3.685 bits


def test_published_defaults_find_bits_between_independent_variables():
    assert 1 < edge(*gaussians(1, 0), PUBLISHED).item() < 2
    assert 4 < edge(*gaussians(5, 0), PUBLISHED).item() < 6


def test_published_defaults_overestimate_what_there_is():
    assert edge(*gaussians(1, 0.8), PUBLISHED).item() > 0.737 + 0.5
    assert edge(*gaussians(5, 0.8), PUBLISHED).item() > 3.685 + 0.5


def test_the_published_bound_caps_twelve_bits_at_ten():
    x = np.arange(4096.0)[None, :, None]

    capped = edge(x, x, PUBLISHED, bandwidth=1e-3)
    free = edge(x, x, replace(PUBLISHED, upper_bound=None), bandwidth=1e-3)

    assert capped.item() == pytest.approx(10)
    assert free.item() == pytest.approx(12)
    assert (PUBLISHED.ceiling(4096), CALIBRATED.ceiling(4096)) == (10, 12)


def test_functions_of_each_other_have_the_information_of_its_hash():
    x = np.repeat(np.arange(16.0), 64)[None, :, None]

    assert edge(x, 3 - 2 * x, bandwidth=0.01).item() == pytest.approx(4)


def test_labels_of_separated_clusters_are_known():
    labels = np.arange(900) % 3
    points = 10.0 * labels[None, :, None] + np.random.default_rng(0).uniform(size=(2, 900, 1))

    assert about_label(points, labels, CALIBRATED).numpy() == pytest.approx(math.log2(3), abs=0.2)


def test_shuffled_labels_are_not():
    generator = np.random.default_rng(0)
    points, labels = generator.standard_normal((3, 2000, 10)), generator.integers(0, 4, 2000)

    assert about_label(points, labels, CALIBRATED).numpy() == pytest.approx(0, abs=0.02)


@given(seeds, st.sampled_from([PUBLISHED, PLUG_IN, CALIBRATED]))
@settings(max_examples=20, deadline=None)
def test_orders_of_samples_and_dimensions_do_not_matter(seed, ensemble):
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((1, 100, 3))
    y = np.tanh(x @ generator.standard_normal((3, 4)))
    samples, dimensions = generator.permutation(100), generator.permutation(4)

    shuffled = edge(x[:, samples], y[:, samples][..., dimensions], ensemble)

    assert shuffled.item() == pytest.approx(edge(x, y, ensemble).item(), abs=1e-9)


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_values_are_between_zero_and_what_the_hash_can_hold(seed):
    generator = np.random.default_rng(seed)
    x, y = generator.standard_normal((2, 1, 50, 2))

    hashed = hash_points(y, PLUG_IN)

    for ensemble in (PLUG_IN, CALIBRATED):
        assert 0 <= edge(x, y, ensemble).item() <= hashed.entropy.mean().item() + 1e-9


def test_units_do_not_matter():
    x, y = gaussians(2, 0.9, 500)

    assert edge(1024 * x, y / 8).item() == pytest.approx(edge(x, y).item())


def test_runs_together_equal_run_by_run():
    generator = np.random.default_rng(0)
    x, y = generator.standard_normal((1, 300, 3)), generator.standard_normal((4, 300, 5))

    together = edge(x, y, PUBLISHED)

    alone = torch.cat([edge(x, run[None], PUBLISHED) for run in y])
    torch.testing.assert_close(together, alone)


def test_a_constant_dimension_changes_nothing_and_alone_knows_nothing():
    x, y = gaussians(2, 0.9, 500)
    constant = np.full((1, 500, 1), 0.1)

    with_constant = edge(np.concatenate([constant, x], axis=2), y)

    assert with_constant.item() == pytest.approx(edge(x, y).item(), abs=0.3)
    assert edge(constant, y).item() == edge(constant, constant).item() == 0


def test_optimal_weights_cancel_powers_of_the_scale():
    scales = (1.0, 2.0, 3.0, 4.0, 5.0)

    weights = optimal_weights(scales, 2).numpy()

    moments = [np.sum(weights * np.power(scales, power)) for power in range(3)]
    assert moments == pytest.approx([1, 0, 0], abs=1e-9)


def test_optimal_weights_cancel_what_they_can():
    assert optimal_weights((1.0, 2.0), 7).tolist() == pytest.approx([2, -1])
    assert optimal_weights((1.0, 1.0), 3).tolist() == pytest.approx([0.5, 0.5])


def test_optimal_weights_extrapolate_from_bandwidths_that_are_too_coarse():
    x, y = gaussians(1, 0.8, 2**16)
    scales = replace(PLUG_IN, scales=(8.0, 12.0, 16.0, 20.0))

    average = edge(x, y, scales).item()
    optimal = edge(x, y, replace(scales, weights="optimal")).item()

    assert abs(optimal - 0.737) < abs(average - 0.737)


def test_pairs_need_the_same_samples():
    with pytest.raises(ValueError, match="as many samples of both variables, got 3 and 4"):
        edge(np.zeros((1, 3, 1)), np.zeros((1, 4, 1)))


def test_an_adjusted_estimate_has_no_bound():
    with pytest.raises(ValueError, match="no upper bound"):
        edge(*gaussians(1, 0.5), replace(CALIBRATED, upper_bound=3.0))


@pytest.mark.gpu
@pytest.mark.parametrize("ensemble", [PUBLISHED, CALIBRATED])
def test_a_gpu_gives_the_same(ensemble):
    x, y = (torch.from_numpy(points) for points in gaussians(3, 0.7, 1000))

    found = edge(x.cuda(), y.cuda(), ensemble)

    assert found.device.type == "cuda"
    torch.testing.assert_close(found.cpu(), edge(x, y, ensemble), atol=1e-2, rtol=0)
