"""Captures in Keras models of all shapes: where their neurons are, and what becomes of copies."""

import logging

import keras
import numpy as np
import pytest
from keras import layers
from keras_counts import nested_network
from oracle import brute_force, captured

import deep_bottleneck.state_space as ts

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword"),
    pytest.mark.filterwarnings("ignore:.*torch.utils._pytree:DeprecationWarning"),
]

FIRST = {"data_format": "channels_first"}


class RMSNorm(layers.Layer):
    """A layer of one's own, with a weight for each channel, wherever they are."""

    def __init__(self, axis_of_channels, **kwargs):
        super().__init__(**kwargs)
        self.axis_of_channels = axis_of_channels

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[self.axis_of_channels],), initializer="ones")

    def call(self, x):
        shape = [1] * len(x.shape)
        shape[self.axis_of_channels] = -1
        mean = keras.ops.mean(x**2, axis=self.axis_of_channels, keepdims=True)
        return x * keras.ops.reshape(self.scale, shape) / keras.ops.sqrt(mean + 1e-6)


def in_turn(shape, *these):
    tensor = inputs = keras.Input(shape)
    for layer in these:
        tensor = layer(tensor)
    return keras.Model(inputs, tensor)


def transformer():
    tokens = keras.Input((17, 13))
    attended = layers.MultiHeadAttention(2, 4, name="attention")(query=tokens, value=tokens)
    normed = layers.LayerNormalization(name="norm")(tokens + attended)
    fed = layers.Activation("gelu", name="gelu")(layers.Dense(17, name="wide")(normed))
    added = layers.Add(name="added")([normed, layers.Dense(13, name="back")(fed)])
    dropped = layers.Dropout(0.1, name="dropped")(added)
    return keras.Model(tokens, layers.LSTM(6, return_sequences=True, name="lstm")(dropped))


NETWORKS = {
    "channels first": (
        lambda: in_turn(
            (1, 8, 8),
            layers.Conv2D(9, 3, **FIRST, name="conv"),
            layers.BatchNormalization(axis=1, name="norm"),
            layers.ReLU(name="relu"),
            layers.Dropout(0.1, name="dropout"),
            layers.MaxPool2D(2, **FIRST, name="pool"),
        ),
        {"conv": 1, "norm": 1, "relu": 1, "dropout": 1, "pool": 1},
    ),
    "channels first, as many as rows": (
        lambda: in_turn(
            (1, 9, 9),
            layers.Conv2D(9, 1, **FIRST, name="conv"),
            layers.LayerNormalization(axis=1, name="norm"),
            layers.ReLU(name="relu"),
        ),
        {"conv": 1, "norm": 1, "relu": 1},
    ),
    "channels last": (
        lambda: in_turn((9, 9, 1), layers.Conv2D(9, 1, name="conv"), layers.ReLU(name="relu")),
        {"conv": -1, "relu": -1},
    ),
    "turned round": (
        lambda: in_turn(
            (8, 6, 1),
            layers.Conv2D(9, 1, name="conv"),
            layers.Permute((3, 1, 2), name="turned"),
            RMSNorm(1, name="own"),
            layers.ReLU(name="relu"),
        ),
        {"conv": -1, "turned": 1, "own": 1, "relu": 1},
    ),
    "a transformer": (
        transformer,
        dict.fromkeys(
            ["attention", "norm", "gelu", "wide", "added", "back", "dropped", "lstm"], -1
        ),
    ),
    "a block with channels first": (
        lambda: in_turn(
            (1, 8, 8),
            in_turn((1, 8, 8), layers.Conv2D(9, 3, **FIRST, name="conv")),
            layers.ReLU(name="relu"),
        ),
        {"relu": 1},
    ),
}


@pytest.mark.parametrize("case", NETWORKS)
def test_every_layer_has_its_neurons_where_they_are(case):
    make, axes = NETWORKS[case]
    keras.utils.set_random_seed(0)
    network = make()
    inputs = np.random.default_rng(0).standard_normal((11, *network.input_shape[1:]))
    outputs = keras.Model(network.input, [network.get_layer(name).output for name in axes])

    probed = ts.build_efficiency_model(network, list(axes))
    probed.predict(inputs, verbose=0)

    expected = dict(zip(axes, keras.tree.flatten(outputs.predict(inputs, verbose=0)), strict=True))
    assert len(probed.efficiency_layers) == len(axes)
    for capture in probed.efficiency_layers:
        name = capture.name.removesuffix("_states")
        assert captured(capture) == brute_force(expected[name], axes[name]), name


def test_what_goes_in_has_its_neurons_found_too():
    make, axes = NETWORKS["channels first"]
    probed = ts.build_efficiency_model(make(), list(axes), method="before")

    assert [capture._channel_axis for capture in probed.efficiency_layers] == [-3] * 5


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: in_turn((5, 7), layers.ReLU(name="relu")), "relu"),
        (lambda: in_turn((9, 9), RMSNorm(1, name="own")), "own"),
    ],
)
def test_what_nobody_can_know_is_asked_for_and_taken(make, name):
    with pytest.raises(ValueError, match=rf"{name}_states cannot tell .* {{'{name}': -1}}"):
        ts.build_efficiency_model(make(), name)

    probed = ts.build_efficiency_model(make(), name, channel_axis={name: 1})
    inputs = np.random.default_rng(0).standard_normal((11, *probed.input_shape[1:]))
    outputs = probed.predict(inputs, verbose=0)
    assert captured(probed.efficiency_layers[0]) == brute_force(outputs, 1)


def test_a_capture_placed_by_hand_looks_at_the_layers_before_it_or_asks():
    capture = ts.StateCapture("probe")
    images = keras.Input((1, 8, 8))
    convolved = layers.Conv2D(9, 3, **FIRST)(images)
    probed = keras.Model(images, capture(layers.ReLU()(convolved)))
    outputs = probed.predict(np.random.default_rng(0).random((6, 1, 8, 8)), verbose=0)
    assert captured(capture) == brute_force(outputs, 1)

    with pytest.raises(ValueError, match="probe cannot tell which axis of the shape"):
        ts.StateCapture("probe")(np.ones((6, 5, 4), np.float32))
    told = ts.StateCapture("probe", channel_axis=-1)
    told(np.ones((6, 5, 4), np.float32))
    assert (told.state_count, told.max_entropy()) == (30, 4.0)


def test_of_several_outputs_the_first_is_captured():
    tokens = keras.Input((5, 3))
    network = keras.Model(tokens, layers.LSTM(4, return_state=True, name="lstm")(tokens))
    inputs = np.random.default_rng(0).standard_normal((11, 5, 3))

    probed = ts.build_efficiency_model(network, "lstm")

    outputs = probed.predict(inputs, verbose=0)
    for ours, theirs in zip(outputs, network.predict(inputs, verbose=0), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert captured(probed.efficiency_layers[0]) == brute_force(outputs[0], -1)


class Wrapped(layers.Layer):
    """A layer with one inside, which is no graph."""

    def __init__(self):
        super().__init__(name="wrapped")
        self.inner = layers.Dense(3, name="inner")

    def call(self, x):
        return self.inner(x)


def test_layers_that_captures_cannot_reach_are_named(caplog):
    network = in_turn((4,), layers.Dense(5, name="outer"), Wrapped())

    probed = ts.build_efficiency_model(network, "Dense")

    assert [capture.name for capture in probed.efficiency_layers] == ["outer_states"]
    assert "no captures at wrapped.inner, inside of layers that are no graph" in caplog.text


def small():
    return keras.Sequential(
        [keras.Input((3,)), layers.Dense(9, name="a"), layers.Dense(4, name="b")]
    )


@pytest.fixture
def inputs():
    return np.random.default_rng(0).standard_normal((60, 3)).astype(np.float32)


def saved_and_loaded(model, folder):
    model.save(folder / "model.keras")
    return keras.saving.load_model(folder / "model.keras")


def cloned(model, folder):
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


@pytest.mark.parametrize("copied", [saved_and_loaded, cloned])
@pytest.mark.parametrize("again", [False, True])
def test_a_copy_knows_its_captures_and_can_be_probed_again(copied, again, tmp_path, inputs):
    probed = ts.build_efficiency_model(small(), "Dense")
    probed.predict(inputs, verbose=0)
    expected = ts.network_efficiency(probed)

    copy = copied(probed, tmp_path)
    if again:
        copy = ts.build_efficiency_model(copy, "Dense")
    assert [capture.state_count for capture in copy.efficiency_layers] == [0, 0]
    copy.predict(inputs, verbose=0)
    ts.reset_efficiency_model(copy)
    copy.predict(inputs, verbose=0)

    assert [capture.name for capture in copy.efficiency_layers] == ["a_states", "b_states"]
    assert ts.network_efficiency(copy) == pytest.approx(expected)
    assert [capture.state_count for capture in probed.efficiency_layers] == [60, 60]


def test_a_second_build_replaces_the_captures_of_the_first_in_nested_models_too():
    probed = ts.build_efficiency_model(nested_network(), ["Dense", "block.act"])

    again = ts.build_efficiency_model(probed, "out")

    assert [capture.name for capture in again.efficiency_layers] == ["out_states"]


def test_a_loaded_model_keeps_counts_where_the_first_keeps_its_states(tmp_path, inputs, caplog):
    pytest.importorskip("zarr")
    probed = ts.build_efficiency_model(small(), "Dense", storage_path=tmp_path / "states")
    probed.predict(inputs, verbose=0)

    with caplog.at_level(logging.WARNING):
        loaded = saved_and_loaded(probed, tmp_path)
    loaded.predict(inputs, verbose=0)

    assert "a_states was made again and keeps counts only: the states of the first" in caplog.text
    assert [capture.state_count for capture in loaded.efficiency_layers] == [60, 60]
    assert probed.efficiency_layers[0].raw_states.shape == (60, 2)


def test_a_model_that_keras_could_not_load_is_not_saved(tmp_path):
    probed = ts.build_efficiency_model(nested_network(), "Dense")

    with pytest.raises(ValueError, match=r"at each call of \['act', 'hidden'\] cannot be saved"):
        probed.save(tmp_path / "model.keras")
