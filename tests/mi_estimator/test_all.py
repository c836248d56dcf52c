"""What every estimator must do, whatever its method."""

import numpy as np
import pytest
import torch
from known_estimators import MODULES, loaded, name_of
from recordings import Recording, of_layer

from deep_bottleneck.errors import EstimationError
from deep_bottleneck.interfaces import MutualInformationEstimator

# Estimators that suppose a density, and refuse values that repeat.
CONTINUOUS = {"kraskov"}


@pytest.fixture(params=MODULES, ids=name_of)
def estimator(request) -> MutualInformationEstimator:
    return loaded(request.param)


@pytest.fixture(params=[m for m in MODULES if name_of(m) not in CONTINUOUS], ids=name_of)
def discrete_estimator(request) -> MutualInformationEstimator:
    return loaded(request.param)


@pytest.fixture(params=[m for m in MODULES if name_of(m) in CONTINUOUS], ids=name_of)
def continuous_estimator(request) -> MutualInformationEstimator:
    return loaded(request.param)


def estimate(estimator, activations, labels):
    """As for the only layer of a recording, whose inputs are the activations of the first run."""
    fitted = estimator.fitted(of_layer(activations, labels))
    return fitted.for_layer(0).estimate(activations, labels)


@pytest.fixture
def labels():
    return np.arange(60) % 3


def test_load_and_class_are_documented(estimator):
    assert isinstance(estimator, MutualInformationEstimator)
    assert estimator.__doc__
    assert str(estimator.method)


def test_one_number_for_each_run_in_bits(estimator, labels):
    generator = np.random.default_rng(0)
    inputs, noise = generator.standard_normal((60, 2)), generator.standard_normal((4, 60, 2))
    activations = (inputs + 0.1 * noise).astype(np.float32)

    information = estimate(estimator, activations, labels)

    assert information.mi_xm.shape == information.mi_ym.shape == (4,)
    assert np.all(information.mi_xm <= np.log2(60) + 1e-4)
    assert np.all(information.mi_ym <= information.mi_xm + 1e-4)


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_our_estimators_take_tensors_and_answer_the_same(module, labels):
    generator = np.random.default_rng(0)
    activations = generator.standard_normal((2, 60, 2)).astype(np.float32)
    tensor = torch.from_numpy(activations)
    recording = of_layer(activations, labels)
    on_device = Recording({0: [activations]}, labels, tensor[0])

    of_arrays = loaded(module).fitted(recording).for_layer(0)
    of_tensors = loaded(module).fitted(on_device).for_layer(0)

    assert of_tensors.takes_tensors
    expected, found = of_arrays.estimate(activations, labels), of_tensors.estimate(tensor, labels)
    np.testing.assert_array_equal(found.mi_xm, expected.mi_xm)
    np.testing.assert_array_equal(found.mi_ym, expected.mi_ym)


@pytest.mark.gpu
@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_a_gpu_answers_what_a_cpu_answers(module, labels):
    generator = np.random.default_rng(0)
    activations = generator.standard_normal((2, 60, 2)).astype(np.float32)
    there = torch.from_numpy(activations).to("cuda:0")
    recording = of_layer(activations, labels)
    on_device = Recording({0: [activations]}, labels, there[0])

    on_cpu = loaded(module).fitted(recording).for_layer(0).estimate(activations, labels)
    on_gpu = loaded(module).fitted(on_device).for_layer(0).estimate(there, labels)

    np.testing.assert_allclose(on_gpu.mi_xm, on_cpu.mi_xm, atol=1e-6)
    np.testing.assert_allclose(on_gpu.mi_ym, on_cpu.mi_ym, atol=1e-6)


def test_a_layer_that_shows_the_label_knows_the_label(discrete_estimator, labels):
    activations = 10 * labels[None, :, None].astype(np.float32)

    information = estimate(discrete_estimator, activations, labels)

    assert information.mi_xm == pytest.approx(np.log2(3), abs=1e-4)
    assert information.mi_ym == pytest.approx(np.log2(3), abs=1e-4)


def test_a_constant_layer_knows_nothing(discrete_estimator, labels):
    information = estimate(discrete_estimator, np.ones((2, 60, 3), np.float32), labels)

    assert information.mi_xm == pytest.approx(0, abs=1e-9)
    assert information.mi_ym == pytest.approx(0, abs=1e-9)


def test_a_constant_layer_has_no_density(continuous_estimator, labels):
    with pytest.raises(EstimationError, match="no continuous values"):
        continuous_estimator.estimate(np.ones((2, 60, 3), np.float32), labels)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_activations_that_are_not_finite_are_an_estimation_error(estimator, labels, bad):
    activations = np.zeros((1, 60, 2), np.float32)
    activations[0, 5, 1] = bad

    fitted = estimator.fitted(of_layer(np.zeros_like(activations), labels)).for_layer(0)
    with pytest.raises(EstimationError, match="NaN"):
        fitted.estimate(activations, labels)
