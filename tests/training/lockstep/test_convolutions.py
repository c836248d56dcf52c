"""Convolutions and pooling without XLA's own compute what Keras' layers do."""

import jax
import keras
import numpy as np
import pytest

from deep_bottleneck.models import lenet5
from deep_bottleneck.training.lockstep import convolutions
from deep_bottleneck.training.lockstep.convolutions import as_products, slower_together

layers = keras.layers
IMAGE, SIGNAL, VOLUME = (7, 6, 2), (9, 2), (5, 4, 4, 2)
LAYERS = {
    "one axis": (SIGNAL, lambda: layers.Conv1D(3, 4)),
    "causal": (SIGNAL, lambda: layers.Conv1D(3, 4, padding="causal")),
    "two axes": (IMAGE, lambda: layers.Conv2D(3, (3, 2), activation="elu")),
    "with strides": (IMAGE, lambda: layers.Conv2D(3, 3, strides=2, use_bias=False)),
    "same": (IMAGE, lambda: layers.Conv2D(3, (4, 3), padding="same")),
    "same with strides": (IMAGE, lambda: layers.Conv2D(3, (4, 3), strides=2, padding="same")),
    "three axes": (VOLUME, lambda: layers.Conv3D(3, 2)),
    "dilated": (IMAGE, lambda: layers.Conv2D(3, 2, dilation_rate=2)),
    "grouped": (IMAGE, lambda: layers.Conv2D(4, 2, groups=2)),
    "depthwise": (IMAGE, lambda: layers.DepthwiseConv2D(3)),
    "separable": (IMAGE, lambda: layers.SeparableConv2D(3, 3)),
    "transposed": (IMAGE, lambda: layers.Conv2DTranspose(3, 3)),
    "pooling": (IMAGE, lambda: layers.MaxPooling2D(2)),
    "pooling of one axis": (SIGNAL, lambda: layers.MaxPooling1D(3)),
    "pooling of three axes": (VOLUME, lambda: layers.MaxPooling3D(2)),
    "pooling windows that overlap": (IMAGE, lambda: layers.MaxPooling2D(3, strides=2)),
    "pooling, same": (IMAGE, lambda: layers.MaxPooling2D(2, padding="same")),
    "in another model": (IMAGE, lambda: keras.Sequential([layers.Conv2D(2, 2), layers.ReLU()])),
}
OURS = {"two axes", "with strides", "same", "three axes", "in another model"}


def network(shape, layer):
    keras.utils.set_random_seed(3)
    return keras.Sequential([keras.Input(shape), layer(), layers.Flatten(), layers.Dense(3)])


def results(model, examples):
    """Outputs, and the gradient of a loss for all weights and the examples, in training."""

    def loss(weights, examples):
        outputs, _ = model.stateless_call(weights, [], examples, training=True)
        return (outputs**2).sum(), outputs

    weights = [variable.value for variable in model.trainable_variables]
    return jax.tree.leaves(jax.jit(jax.grad(loss, (0, 1), has_aux=True))(weights, examples))


def same(model, examples):
    theirs = results(model, examples)
    with as_products(model):
        ours = results(model, examples)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_outputs_and_gradients(name):
    shape, layer = LAYERS[name]

    same(network(shape, layer), np.random.default_rng(0).random((4, *shape), np.float32))


def test_the_first_of_several_largest_has_the_gradient_and_nan_is_kept():
    examples = np.random.default_rng(0).integers(0, 2, (4, *IMAGE)).astype(np.float32)
    model = network(*LAYERS["pooling"])
    same(model, examples)

    examples[0, 0, 0, 0] = examples[1, 1, 1, 0] = np.nan
    pool = keras.Sequential([keras.Input(IMAGE), layers.MaxPooling2D(2)])
    theirs = pool(examples)
    with as_products(pool):
        np.testing.assert_array_equal(pool(examples), theirs)


@pytest.mark.parametrize("name", sorted(OURS | {"one axis", "depthwise", "grouped", "transposed"}))
def test_runs_train_together_where_no_convolution_is_left_to_xla(name):
    shape, layer = LAYERS[name]

    assert slower_together(network(shape, layer), shape) == (name not in OURS)


def test_lenet_has_none_left():
    assert not slower_together(lenet5.load((28, 28, 1), 10, "adam", 1e-3), (28, 28, 1))


def test_patches_that_would_fill_the_memory_are_not_made(monkeypatch):
    monkeypatch.setattr(convolutions, "MOST_NUMBERS_IN_PATCHES", 10)
    shape, layer = LAYERS["two axes"]

    assert slower_together(network(shape, layer), shape)


def test_a_layer_is_left_as_it_was():
    model = network(*LAYERS["in another model"])

    with as_products(model):
        assert "convolution_op" in vars(model.layers[0].layers[0])

    assert all("convolution_op" not in vars(layer) for layer in model._flatten_layers())
