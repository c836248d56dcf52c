"""Which places of a model are watched, what they are called, and what they give."""

import logging

import keras
import numpy as np
import pytest
from keras import layers

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.training.layers import (
    feature_extractor,
    kernels_of,
    layer_outputs,
    multiplications,
    tell_of_layers_left_out,
    watched_layers,
)


class Block(layers.Layer):
    """Two dense layers, and a scale of its own for what they give."""

    def __init__(self, **options):
        super().__init__(**options)
        self.into, self.out = layers.Dense(3, name="into"), layers.Dense(4, name="out")

    def build(self, shape):
        self.into.build(shape)
        self.out.build((None, 3))
        self.scale = self.add_weight(shape=(4,), name="scale")

    def call(self, inputs):
        return self.scale * self.out(self.into(inputs))


def by_name(model, examples):
    *outputs, _ = feature_extractor(model).predict(examples, verbose=0)
    names = [place.name for place in layer_outputs(model)]
    return dict(zip(names, outputs, strict=True))


def examples(*shape):
    return np.random.default_rng(0).standard_normal((6, *shape)).astype(np.float32)


def computed(layer, values):
    return keras.ops.convert_to_numpy(layer(keras.ops.convert_to_tensor(values)))


def test_a_layer_is_named_by_what_it_is_nested_in_and_a_further_call_by_its_number():
    twice, inner = layers.Dense(4, name="twice"), layers.Dense(4, name="inner")
    block = keras.Sequential([keras.Input((4,)), inner], name="block")
    given = keras.Input((4,))
    model = keras.Model(given, layers.Dense(2, name="out")(block(block(twice(twice(given))))))

    found = by_name(model, examples(4))

    assert list(found) == ["twice", "twice_2", "block.inner", "block.inner_2", "out"]
    first = computed(twice, examples(4))
    second = computed(twice, first)
    for name, values in {
        "twice": first,
        "twice_2": second,
        "block.inner": computed(inner, second),
    }.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-6)
    assert watched_layers(model)[:2] == [twice, twice]


def test_no_call_gets_the_name_of_another_layer():
    twice, other = layers.Dense(4, name="dense"), layers.Dense(4, name="dense_2")
    given = keras.Input((4,))
    model = keras.Model(given, other(twice(twice(given))))

    assert [place.name for place in layer_outputs(model)] == ["dense", "dense_3", "dense_2"]


def test_inside_of_a_layer_of_ones_own_as_well():
    block = Block(name="block")
    model = keras.Sequential([keras.Input((4,)), block, layers.Dense(2, name="out")])

    found = by_name(model, examples(4))

    assert list(found) == ["block.into", "block.out", "block", "out"]
    scaled = found["block.out"] * keras.ops.convert_to_numpy(block.scale)
    np.testing.assert_allclose(found["block"], scaled, rtol=1e-5)
    assert [[weight.name for weight in kernels_of(each)] for each in watched_layers(model)] == [
        ["kernel"],
        ["kernel"],
        ["scale"],
        ["kernel"],
    ]


def test_a_layer_of_keras_is_one_place_whatever_it_is_made_of():
    given = keras.Input((6, 3))
    attended = layers.MultiHeadAttention(2, 2, name="attention")(given, given)
    both = layers.Bidirectional(layers.GRU(2, return_sequences=True), name="both")(attended)
    added = layers.AdditiveAttention(name="added")([both, both])
    narrow = layers.SeparableConv1D(5, 2, name="separable")(added)
    timed = layers.TimeDistributed(layers.Dense(5, "tanh"), name="timed")(narrow)
    model = keras.Model(given, layers.LSTM(4, name="recalls")(timed))

    outputs = layer_outputs(model)

    assert [(place.name, place.shape, place.neuron_axis) for place in outputs] == [
        ("attention", (6, 3), -1),
        ("both", (6, 4), -1),
        ("added", (6, 4), -1),
        ("separable", (5, 5), -1),
        ("timed", (5, 5), -1),
        ("recalls", (4,), -1),
    ]
    names = [[weight.name for weight in kernels_of(layer)] for layer in watched_layers(model)]
    assert names == [
        ["kernel"] * 4,
        ["kernel", "recurrent_kernel"] * 2,
        ["scale"],
        ["depthwise_kernel", "pointwise_kernel"],
        ["kernel"],
        ["kernel", "recurrent_kernel"],
    ]


@pytest.mark.backend("torch")
def test_a_wrapped_module_of_pytorch_is_a_place():
    import torch

    wrapped = layers.TorchModuleWrapper(
        torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh()),
        name="wrapped",
        output_shape=(None, 3),
    )
    model = keras.Sequential([keras.Input((4,)), wrapped, layers.Dense(2, name="out")])

    found = by_name(model, examples(4))

    assert list(found) == ["wrapped", "out"]
    np.testing.assert_allclose(found["wrapped"], computed(wrapped, examples(4)), rtol=1e-6)
    assert [tuple(weight.shape) for weight in kernels_of(wrapped)] == [(3, 4)]


def test_the_axis_of_channels_first_and_none_where_it_cannot_be_known():
    given = keras.Input((5, 5))
    tokens = layers.EinsumDense("btc,cd->btd", (5, 5), name="tokens")(given)
    image = layers.Reshape((1, 5, 5))(tokens)
    image = layers.Conv2D(2, 3, data_format="channels_first", name="conv")(image)

    by_place = {place.name: place for place in layer_outputs(keras.Model(given, image))}

    assert by_place["tokens"].neuron_axis is None
    assert by_place["conv"].shape[by_place["conv"].neuron_axis] == 2


def test_what_is_left_out_is_named_once_with_the_reason(caplog):
    unused = Block(name="block")
    unused.spare = layers.Dense(2, name="spare")
    unused.spare.build((None, 4))
    model = keras.Sequential(
        [keras.Input((4,)), unused, layers.BatchNormalization(name="norm"), layers.Dense(2)]
    )
    with caplog.at_level(logging.INFO):
        tell_of_layers_left_out(model)

    assert caplog.messages == [
        "Not measured, as they scale units and connect none: norm (BatchNormalization).",
        "Not measured, as they give no output where the model is called: block.spare (Dense).",
    ]


def test_the_model_stays_as_it_is():
    dense = layers.Dense(3)
    model = keras.Sequential([keras.Input((4,)), dense])
    before = model.predict(examples(4), verbose=0)

    feature_extractor(model).predict(examples(4), verbose=0)

    assert "call" not in vars(dense)
    assert len(dense._inbound_nodes) == 1
    np.testing.assert_array_equal(model.predict(examples(4), verbose=0), before)


def test_a_model_without_weights_or_without_a_graph_is_refused():
    class Subclassed(keras.Model):
        def call(self, inputs):
            return inputs

    with pytest.raises(ConfigError, match="no layer with weights to watch"):
        layer_outputs(keras.Sequential([keras.Input((4,)), layers.ReLU()]))
    with pytest.raises(ConfigError, match="must be a Sequential or functional Keras model"):
        feature_extractor(Subclassed())


def test_each_weight_meets_each_position_of_what_its_layer_gives():
    image = keras.Sequential(
        [
            keras.Input((6, 5, 2)),
            layers.Conv2D(3, 2, name="conv"),
            layers.Flatten(),
            layers.Dense(4, name="out"),
        ]
    )

    assert multiplications(image) == (5 * 4) * (2 * 2 * 2 * 3) + (5 * 4 * 3) * 4
