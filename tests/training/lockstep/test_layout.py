"""Dense layers with the examples on the last axis compute what Keras' own do."""

import jax
import keras
import numpy as np
import pytest

from deep_bottleneck.training.lockstep.layout import examples_last

ACTIVATIONS = sorted(
    name
    for name, function in vars(keras.activations).items()
    if callable(function) and name not in ("get", "serialize", "deserialize", "glu", "threshold")
)
BETWEEN = {
    "batch normalisation": lambda: keras.layers.BatchNormalization(),
    "layer normalisation": lambda: keras.layers.LayerNormalization(),
    "dropout": lambda: keras.layers.Dropout(0.3),
    "activation": lambda: keras.layers.LeakyReLU(),
    "a softmax over units": lambda: keras.layers.Softmax(),
    "another model": lambda: keras.Sequential([keras.Input((5,)), keras.layers.Dense(5, "relu")]),
}


def network(activation="tanh", between=None, **dense):
    keras.utils.set_random_seed(3)
    layers = [keras.Input((7,)), keras.layers.Dense(5, activation, **dense)]
    layers += [between()] if between else []
    return keras.Sequential([*layers, keras.layers.Dense(3, "softmax")])


def results(model, layout):
    """Outputs, moving averages, and the gradient of a loss for all weights, in training."""
    examples = np.random.default_rng(0).standard_normal((11, 7)).astype(np.float32)
    others = [variable.value for variable in model.non_trainable_variables]

    def loss(weights):
        outputs, new, penalties = model.stateless_call(
            weights, others, examples, training=True, return_losses=True
        )
        return (outputs[:, 0] ** 2).sum() + sum(penalties), (outputs, new)

    weights = [variable.value for variable in model.trainable_variables]
    derivative = jax.jit(jax.grad(loss, has_aux=True))
    if not layout:
        return jax.tree.leaves(derivative(weights))
    with examples_last(model):
        return jax.tree.leaves(derivative(weights))


def same(model):
    for ours, theirs in zip(results(model, True), results(model, False), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_all_activations(activation):
    same(network(activation))


@pytest.mark.parametrize("name", BETWEEN)
def test_other_layers_between(name):
    same(network(between=BETWEEN[name]))


@pytest.mark.parametrize(
    "options",
    [
        {"use_bias": False},
        {"kernel_regularizer": "l2"},
        {"activity_regularizer": "l2"},
        {"trainable": False},
        {"dtype": "mixed_bfloat16"},
        {"lora_rank": 2},
    ],
)
def test_options_of_a_dense_layer(options):
    same(network(**options))


def test_inputs_that_are_no_vectors_stay_as_they_are():
    inputs = keras.Input((7,))
    tokens = keras.layers.Reshape((7, 1))(inputs)
    hidden = keras.layers.Dense(4, "tanh")(tokens)

    same(keras.Model(inputs, keras.layers.Flatten()(hidden)))


def test_a_layer_is_left_as_it_was():
    model = network()

    with examples_last(model):
        assert "call" in vars(model.layers[0])

    assert all("call" not in vars(layer) for layer in model.layers)


def test_a_subclass_of_dense_computes_as_it_says():
    class Doubled(keras.layers.Dense):
        def call(self, inputs, training=None):
            return 2 * super().call(inputs)

    model = keras.Sequential([keras.Input((7,)), Doubled(3), keras.layers.Dense(2)])

    same(model)
