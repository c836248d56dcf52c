import importlib.util
import logging
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras_counts import (
    check_changed_width,
    check_counts,
    check_nan,
    check_nested,
    check_network,
    check_unbuilt,
)

import deep_bottleneck.state_space as ts

ROOT = Path(__file__).resolve().parents[2]

# Keras and torch themselves
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword"),
    pytest.mark.filterwarnings("ignore:.*torch.utils._pytree:DeprecationWarning"),
]


def test_counts_are_those_of_brute_force():
    check_counts()


def test_a_network_is_captured_in_prediction_and_evaluation_only_when_asked():
    check_network()


def test_a_changed_number_of_neurons_is_an_error_that_keeps_the_counts():
    check_changed_width()


def test_activations_that_are_nan_are_noticed():
    check_nan()


def test_a_model_that_was_never_built_counts_its_first_batch_once():
    check_unbuilt()


def test_layers_of_nested_models_are_found_and_told_apart_by_call():
    check_nested()


@pytest.mark.parametrize(
    "backend",
    [
        pytest.param("tensorflow", marks=[pytest.mark.tensorflow, pytest.mark.slow]),
        pytest.param("torch", marks=pytest.mark.slow),
    ],
)
def test_another_backend_counts_the_same(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    script = Path(__file__).with_name("keras_counts.py")
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)}

    finished = subprocess.run(
        [sys.executable, script], env=environment, capture_output=True, text=True, check=False
    )

    assert finished.returncode == 0, finished.stderr[-3000:]
    assert f"counts agree on {backend}" in finished.stdout


def branched() -> keras.Model:
    left, right = keras.Input((3,), name="left"), keras.Input((3,), name="right")
    shared = keras.layers.Dense(4, name="shared")
    joined = keras.layers.Add(name="add")([shared(left), shared(right)])
    return keras.Model({"left": left, "right": right}, {"out": joined})


def test_branches_and_shared_layers_are_kept():
    model = branched()
    inputs = {side: np.random.default_rng(0).random((5, 3)) for side in ("left", "right")}

    probed = ts.build_efficiency_model(model, ["shared", "add"])

    np.testing.assert_array_equal(
        probed.predict(inputs, verbose=0)["out"], model.predict(inputs, verbose=0)["out"]
    )
    counts = {capture.name: capture.state_count for capture in probed.efficiency_layers}
    assert counts == {"shared_states": 5, "shared_states_2": 5, "add_states": 5}


def test_weights_are_shared_and_the_model_itself_is_left_alone():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, name="a")])
    probed = ts.build_efficiency_model(model, "Dense")

    assert probed.weights[0] is model.weights[0]
    assert not hasattr(model, "efficiency_layers")
    assert [layer.name for layer in model.layers] == ["a"]


def test_both_sides_of_a_layer_have_names_of_their_own():
    probed = ts.build_efficiency_model(
        keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, name="a")]), "a", method="both"
    )

    assert [capture.name for capture in probed.efficiency_layers] == ["a_pre_states", "a_states"]


def test_masks_and_types_pass_through():
    inputs = keras.Input((5,), dtype="int32")
    embedded = keras.layers.Embedding(7, 4, mask_zero=True, name="embedded")(inputs)
    model = keras.Model(inputs, keras.layers.LSTM(3)(embedded))
    tokens = np.array([[1, 2, 0, 0, 0], [3, 4, 5, 6, 0]])

    probed = ts.build_efficiency_model(model, "embedded")

    np.testing.assert_array_equal(
        probed.predict(tokens, verbose=0), model.predict(tokens, verbose=0)
    )


@pytest.mark.parametrize("policy", ["float16", "mixed_bfloat16"])
def test_a_capture_does_not_cast(policy):
    layer = keras.layers.Dense(4, name="a", dtype=policy)
    model = keras.Sequential([keras.Input((3,)), layer])
    inputs = np.random.default_rng(0).random((6, 3))

    probed = ts.build_efficiency_model(model, "a")

    assert probed.output.dtype == layer.compute_dtype
    probed(inputs)
    assert probed.efficiency_layers[0].state_count == 6


def test_a_layer_can_be_placed_by_hand():
    capture = ts.StateCapture(name="mine")
    model = keras.Sequential([keras.Input((3,)), capture, keras.layers.Dense(1)])
    model.predict(np.ones((4, 3)), verbose=0)

    assert isinstance(capture, ts.AbstractStateCapture)
    assert capture.counts().tolist() == [4]


def test_a_sequential_model_that_was_called_needs_no_input_layer():
    model = keras.Sequential([keras.layers.Dense(4)])
    model(np.ones((2, 3)))

    probed = ts.build_efficiency_model(model, "Dense")
    probed.predict(np.ones((2, 3)), verbose=0)

    assert probed.efficiency_layers[0].state_count == 2


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


@pytest.mark.parametrize(
    ("make", "attach_to", "method", "error", "message"),
    [
        (branched, "shard", "after", ValueError, "did you mean 'shared'"),
        (branched, "add", "before", TypeError, "add_pre_states can capture one tensor, got list"),
        (branched, "left", "after", ValueError, "no layer of that name or type"),
        (
            lambda: keras.Sequential([keras.layers.Dense(2)]),
            "Dense",
            "after",
            ValueError,
            "is not built: give it an Input",
        ),
        (Subclassed, "Dense", "after", TypeError, "not into Subclassed: place StateCapture layers"),
    ],
)
def test_models_that_cannot_be_probed_say_why(make, attach_to, method, error, message):
    with pytest.raises(error, match=message):
        ts.build_efficiency_model(make(), attach_to, method=method)


def test_a_loss_that_cannot_be_made_again_leaves_the_model_uncompiled(caplog):
    def loss_of_my_own(truth, guess):
        return keras.ops.mean(truth - guess)

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, name="a")])
    model.compile(loss=loss_of_my_own)

    with caplog.at_level(logging.WARNING):
        probed = ts.build_efficiency_model(model, "a")

    assert not probed.compiled
    assert "compile it before calling evaluate or fit" in caplog.text
