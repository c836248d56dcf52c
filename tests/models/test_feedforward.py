import keras
import numpy as np
import pytest

from deep_bottleneck.config import Activation
from deep_bottleneck.models import feedforward, feedforward_batchnorm


def load(load=feedforward.load, **changes):
    keras.utils.set_random_seed(0)
    arguments = {
        "architecture": [400, 100],
        "activation_fn": "tanh",
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "input_size": 50,
        "output_size": 3,
    }
    return load(**{**arguments, **changes})


def test_layers_follow_the_architecture():
    model = load()

    assert [layer.units for layer in model.layers] == [400, 100, 3]
    assert [layer.activation.__name__ for layer in model.layers] == ["tanh", "tanh", "softmax"]


def test_kernels_are_truncated_normal_with_deviation_one_over_root_of_units():
    kernel = load().layers[0].get_weights()[0]
    truncation = 0.8796  # the deviation of a normal cut at two of its standard deviations

    assert kernel.std() == pytest.approx(truncation / np.sqrt(400), rel=0.02)
    assert np.abs(kernel).max() <= 2 / np.sqrt(400)


def test_biases_start_where_they_are_told():
    assert all(np.all(layer.get_weights()[1] == 1.5) for layer in load(initial_bias=1.5).layers)


def test_max_norm_limits_the_incoming_weights_of_each_unit():
    model = load(max_norm_weights=0.3)

    constrained = model.layers[0].kernel_constraint(model.layers[0].kernel)

    norms = np.linalg.norm(keras.ops.convert_to_numpy(constrained), axis=0)
    assert np.all(norms <= 0.3 + 1e-5)
    assert load().layers[0].kernel_constraint is None


def test_batch_normalisation_follows_each_hidden_layer():
    kinds = [type(layer).__name__ for layer in load(feedforward_batchnorm.load).layers]

    assert kinds == ["Dense", "BatchNormalization"] * 2 + ["Dense"]


@pytest.mark.parametrize("activation", Activation.__args__)
def test_all_eleven_activations_are_known(activation):
    model = load(architecture=[4], activation_fn=activation)

    assert np.all(np.isfinite(model.predict(np.eye(50, dtype=np.float32), verbose=0)))


def test_images_are_flattened_first():
    model = load(input_shape=(5, 5, 2))

    assert [type(layer).__name__ for layer in model.layers] == ["Flatten", *["Dense"] * 3]
    assert model.input_shape == (None, 5, 5, 2)
    assert [type(layer).__name__ for layer in load(input_shape=(50,)).layers] == ["Dense"] * 3
