"""Captures in random Keras networks against `numpy.unique`; run as a script for other backends."""

import os
import tempfile
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import brute_force, captured

import deep_bottleneck.state_space as ts
from deep_bottleneck.errors import EstimationError

ORDERS = {"channels_last": -1, "channels_first": 1}


@settings(max_examples=15, deadline=None)
@given(
    n_neurons=st.integers(1, 300),
    n_hidden=st.integers(1, 300),
    size=st.integers(1, 4),
    batches=st.lists(st.integers(1, 6), min_size=1, max_size=2),
    order=st.sampled_from(sorted(ORDERS)),
    seed=st.integers(0, 2**31),
)
def check_counts(n_neurons, n_hidden, size, batches, order, seed):
    keras.utils.set_random_seed(seed)
    shape = (size, size, 2) if order == "channels_last" else (2, size, size)
    inputs = keras.Input(shape)
    conv = keras.layers.Conv2D(
        n_neurons, 1, data_format=order, activation="elu", name="conv", use_bias=False
    )(inputs)
    hidden = keras.layers.Dense(n_hidden, name="hidden")(keras.layers.Flatten()(conv))
    network = keras.Model(inputs, [conv, hidden])

    probed = ts.build_efficiency_model(network, ["conv", "hidden"])
    generator = np.random.default_rng(seed)
    seen = []
    for batch in batches:
        images = generator.standard_normal((batch, *shape)).round().astype(np.float32)
        seen.append(probed.predict_on_batch(images))
    conv_seen, hidden_seen = (np.concatenate(each) for each in zip(*seen, strict=True))

    of_conv, of_hidden = probed.efficiency_layers
    assert [of_conv.name, of_hidden.name] == ["conv_states", "hidden_states"]
    assert captured(of_conv) == brute_force(conv_seen, ORDERS[order])
    assert captured(of_hidden) == brute_force(hidden_seen, -1)
    assert of_conv.state_count == sum(batches) * size * size


def check_nan() -> None:
    """What is NaN is noticed on every backend."""
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="a")])
    probed = ts.build_efficiency_model(network, "Dense")

    probed.predict_on_batch(np.array([[1.0, 2.0], [1.0, np.nan]], np.float32))

    with pytest.raises(EstimationError, match="some of its activations are NaN"):
        probed.efficiency_layers[0].entropy()


def check_network() -> None:
    """The whole interface on one network, in graph mode where the backend has one."""
    network = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(9, name="a"), keras.layers.Dense(4, name="b")]
    )
    network.compile(optimizer="sgd", loss="mse")
    inputs = np.random.default_rng(0).standard_normal((64, 3)).astype(np.float32)
    probed = ts.build_efficiency_model(network, "Dense", method="both", evaluation_only=True)

    probed.fit(inputs, np.zeros((64, 4), np.float32), verbose=0)
    assert [capture.state_count for capture in probed.efficiency_layers] == [0, 0, 0, 0]

    np.testing.assert_array_equal(
        probed.predict(inputs, batch_size=10, verbose=0),
        network.predict(inputs, batch_size=10, verbose=0),
    )
    assert [capture.state_count for capture in probed.efficiency_layers] == [64] * 4
    assert captured(probed.efficiency_layers[0]) == brute_force(inputs, -1)
    assert 0 < ts.network_efficiency(probed) <= 1

    ts.reset_efficiency_model(probed)
    probed.evaluate(inputs, np.zeros((64, 4), np.float32), verbose=0)
    assert [capture.state_count for capture in probed.efficiency_layers] == [64] * 4

    with tempfile.TemporaryDirectory() as folder:
        probed.save(Path(folder) / "probed.keras")
        loaded = keras.models.load_model(Path(folder) / "probed.keras")
    np.testing.assert_allclose(
        loaded.predict(inputs, verbose=0), network.predict(inputs, verbose=0), rtol=1e-5, atol=1e-6
    )


def check_changed_width() -> None:
    """Each backend raises errors of its own, but all of them carry the sentence."""
    capture = ts.StateCapture(name="probe")
    inputs = keras.Input((None,))
    model = keras.Model(inputs, capture(inputs))
    model.predict(np.ones((4, 3), np.float32), verbose=0)

    with pytest.raises(Exception, match="probe captured states of 3 neurons and now got 5"):
        model.predict(np.ones((4, 5), np.float32), verbose=0)
    assert capture.counts().tolist() == [4]


class Subclassed(keras.Model):
    """A model with a capture placed by hand, which Keras builds when it first sees inputs."""

    def __init__(self):
        super().__init__()
        self.hidden, self.probe = keras.layers.Dense(4), ts.StateCapture("probe")

    def call(self, inputs):
        return self.probe(self.hidden(inputs))


def check_unbuilt() -> None:
    """A model that was never built counts its first batch once."""
    inputs = np.random.default_rng(0).standard_normal((64, 3)).astype(np.float32)
    network = Subclassed()
    network.compile("sgd", "mse")

    hidden = network.predict(inputs, batch_size=16, verbose=0)
    assert captured(network.probe) == brute_force(hidden, -1)
    network.predict(inputs, batch_size=16, verbose=0)
    assert network.probe.state_count == 128

    for run in (network.fit, network.evaluate):
        network.probe.reset_states()
        run(inputs, hidden, batch_size=16, verbose=0)
        assert network.probe.state_count == 64


def nested_network() -> keras.Model:
    """A block that is used twice, with layers named as those around it."""
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(7, name="hidden"), keras.layers.ReLU(name="act")]
    block = keras.Sequential([keras.Input((5,)), *layers], name="block")
    inputs = keras.Input((5,))
    hidden = keras.layers.Dense(5, name="hidden")(block(inputs))
    return keras.Model(inputs, keras.layers.Dense(3, name="out")(block(hidden, training=False)))


def check_nested() -> None:
    """Layers of nested models are found, and each call is a place."""
    network = nested_network()
    inputs = np.random.default_rng(0).standard_normal((40, 5)).astype(np.float32)
    block, hidden = network.get_layer("block"), network.get_layer("hidden")
    of_block = block.get_layer("hidden")
    first = of_block(inputs)
    between = hidden(keras.ops.relu(first))
    tensors = [first, between, of_block(between), network(inputs)]
    *outputs, last = map(keras.ops.convert_to_numpy, tensors)

    probed = ts.build_efficiency_model(network, "Dense", exclude="out")
    np.testing.assert_allclose(probed.predict(inputs, verbose=0), last, atol=1e-6)

    found = {capture.name: captured(capture) for capture in probed.efficiency_layers}
    names = ["block.hidden_states", "hidden_states", "block.hidden_states_2"]
    assert found == {
        name: brute_force(output, -1) for name, output in zip(names, outputs, strict=True)
    }


if __name__ == "__main__":
    check_counts()
    check_network()
    check_changed_width()
    check_nan()
    check_unbuilt()
    check_nested()
    print("counts agree on", keras.backend.backend())  # noqa: T201, for the test that runs this
