"""What TensorState offers, each function with each of its arguments, by values of brute force.

Its modules are `TensorState` (functions of models and numbers), `Layers` (captures) and `States`
(packed states). Where this package does otherwise on purpose, the test says so.
"""

import itertools
import math

import keras
import numpy as np
import pytest
import torch
from oracle import brute_force, captured
from torch import nn

import deep_bottleneck.state_space as ts

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy")

# 4, 2, 1 and 1 observations of the four states of two neurons
ROWS = torch.tensor([[-1.0, -1]] * 4 + [[1, -1]] * 2 + [[-1, 1], [1, 1]])
SHARES = np.array([4, 2, 1, 1]) / 8


def renyi(shares: np.ndarray, alpha: float) -> float:
    """By the sum over states."""
    if alpha == 1:
        return -sum(p * math.log2(p) for p in shares)
    if alpha == math.inf:
        return -math.log2(max(shares))
    return math.log2(sum(p**alpha for p in shares)) / (1 - alpha)


@pytest.fixture
def capture() -> ts.StateCaptureHook:
    capture = ts.StateCaptureHook("hidden")
    capture.record(ROWS)
    return capture


# TensorState.entropy, network_efficiency, aIQ


@pytest.mark.parametrize("alpha", [0, 0.5, 1, 2, 3.5, math.inf])
def test_entropy_of_counts(alpha):
    assert ts.entropy(np.array([4, 2, 1, 1]), alpha) == pytest.approx(renyi(SHARES, alpha))
    assert ts.entropy(counts=np.array([4, 2, 1, 1])) == pytest.approx(1.75)


def test_network_efficiency_of_numbers_and_of_a_model():
    assert ts.network_efficiency([0.5, 0.25, 0.125]) == pytest.approx(
        (0.5 * 0.25 * 0.125) ** (1 / 3)
    )

    network = ts.build_efficiency_model(nn.Sequential(nn.Identity(), nn.Identity()), ["Identity"])
    network(ROWS)
    assert ts.network_efficiency(efficiencies=network) == pytest.approx(1.75 / 2)


def test_no_layer_at_all_is_an_error_where_tensorstate_gives_none():
    with pytest.raises(ValueError, match="at least one layer"):
        ts.network_efficiency([])


def test_aiq():
    by_hand = (0.9**2 * 0.3) ** (1 / 3)
    assert ts.aIQ(net_efficiency=0.3, accuracy=0.9, weight=2) == pytest.approx(by_hand)
    with pytest.raises(ValueError, match="must be above 0"):
        ts.aIQ(0.3, 0.9, 0)


# TensorState.build_efficiency_model, reset_efficiency_model


def network_in_torch() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(5 * 4, 3)).eval()


images = torch.randn(40, 1, 4, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"attach_to": ["Conv2d", "Linear"]}, {"0_post_states": 0, "3_post_states": 3}),
        ({"attach_to": "Linear"}, {"3_post_states": 3}),
        ({"attach_to": ["0"]}, {"0_post_states": 0}),
        ({"attach_to": ["Conv2d", "Linear"], "exclude": ["0"]}, {"3_post_states": 3}),
        ({"attach_to": ["Linear"], "method": "before"}, {"3_pre_states": 2}),
        ({"attach_to": "ReLU", "method": "both"}, {"1_pre_states": 0, "1_post_states": 1}),
    ],
)
def test_captures_in_a_torch_network(arguments, expected):
    network, outputs = network_in_torch(), [images]
    with torch.no_grad():
        for module in network:
            outputs.append(module(outputs[-1]))
        probed = ts.build_efficiency_model(network, **arguments)
        probed(images)

    assert probed is network
    assert [capture.name for capture in probed.efficiency_layers] == list(expected)
    for capture in probed.efficiency_layers:
        output = outputs[expected[capture.name] + 1].numpy()
        assert captured(capture) == brute_force(output, 1)

    ts.reset_efficiency_model(model=probed)
    assert {capture.state_count for capture in probed.efficiency_layers} == {0}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"attach_to": ["Conv2D", "Dense"]}, {"conv_states": "conv", "dense_states": "dense"}),
        ({"attach_to": ["Dense"], "exclude": "dense", "method": "after"}, None),
        ({"attach_to": "dense", "method": "before"}, {"dense_pre_states": "flat"}),
        (
            {"attach_to": ["conv"], "method": "both"},
            {"conv_pre_states": None, "conv_states": "conv"},
        ),
    ],
)
def test_captures_in_a_keras_network(arguments, expected):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4, 4, 1))
    convolved = keras.layers.Conv2D(5, 3, name="conv")(inputs)
    flat = keras.layers.Flatten(name="flat")(convolved)
    network = keras.Model(inputs, keras.layers.Dense(3, name="dense")(flat))
    examples = images.permute(0, 2, 3, 1).numpy()
    if expected is None:
        with pytest.raises(ValueError, match="exclude leaves none"):
            ts.build_efficiency_model(network, **arguments)
        return

    probed = ts.build_efficiency_model(network, **arguments)
    probed.predict(examples, verbose=0)

    assert [capture.name for capture in probed.efficiency_layers] == list(expected)
    for capture in probed.efficiency_layers:
        layer = expected[capture.name]
        output = examples
        if layer:
            output = keras.Model(inputs, network.get_layer(layer).output).predict(output, verbose=0)
        assert captured(capture) == brute_force(output, -1)


def test_states_are_stored_where_the_storage_path_says(tmp_path):
    pytest.importorskip("zarr")
    network = ts.build_efficiency_model(network_in_torch(), "Linear", storage_path=tmp_path)
    with torch.no_grad():
        outputs = network(images).numpy()

    # TensorState puts a folder tensor_states between
    assert [path.name for path in tmp_path.iterdir()] == ["3_post_states.zarr"]
    stored = network.efficiency_layers[0].raw_states
    np.testing.assert_array_equal(stored, np.packbits(outputs > 0, axis=1, bitorder="little"))


# Layers.AbstractStateCapture, StateCaptureHook, StateCapture


def test_what_a_capture_tells(capture):
    assert capture.state_count == 8
    assert dict(zip(capture.state_ids(), capture.counts(), strict=True)) == {
        b"\x00": 4,
        b"\x01": 2,
        b"\x02": 1,
        b"\x03": 1,
    }
    assert capture.states.tolist() == [[i & 1 > 0, i & 2 > 0] for i in (0, 1, 2, 3)]
    assert capture.max_entropy() == 2.0
    with pytest.raises(AttributeError):
        capture.state_count = 3
    with pytest.raises(AttributeError):
        capture.states = []


ORDERS = [0, 0.5, 1, 2, math.inf]


@pytest.mark.parametrize("alpha", ORDERS)
def test_entropy_of_a_capture(capture, alpha):
    assert capture.entropy(alpha=alpha) == pytest.approx(renyi(SHARES, alpha))
    assert capture.entropy(alpha=None) == 2.0
    assert capture.efficiency(alpha1=alpha) == pytest.approx(renyi(SHARES, alpha) / 2)


@pytest.mark.parametrize(("low", "high"), list(itertools.combinations(ORDERS, 2)))
def test_efficiency_of_two_orders(capture, low, high):
    by_hand = renyi(SHARES, high) / renyi(SHARES, low)
    assert capture.efficiency(alpha1=high, alpha2=low) == pytest.approx(by_hand)
    with pytest.raises(ValueError, match="alpha1 must be above alpha2"):
        capture.efficiency(alpha1=low, alpha2=high)


@pytest.mark.parametrize("input_shape", [None, (None, 2), [8, 2]])
def test_a_reset_forgets_and_goes_on(capture, input_shape):
    capture.reset_states(input_shape=input_shape)
    assert capture.state_count == 0

    capture.record(ROWS[:5])
    assert capture.counts().tolist() == [4, 1]


def test_a_shape_tells_the_number_of_neurons_before_the_first_batch():
    capture = ts.StateCaptureHook("hidden", channel_axis=1)
    capture.reset_states(input_shape=(None, 6, 5, 5))

    assert capture.max_entropy() == 6.0
    with pytest.raises(ValueError, match="captured states of 6 neurons and now got 7"):
        capture.record(torch.ones(4, 7, 5, 5))


class Clock:
    """Something else to inherit from, with an argument of its own."""

    def __init__(self, hertz=0, **kwargs):
        super().__init__(**kwargs)
        self.hertz = hertz


@pytest.mark.parametrize("base", [ts.AbstractStateCapture, ts.StateCaptureHook])
def test_a_capture_can_be_subclassed_and_hands_keywords_on(base, tmp_path):
    class Mine(base, Clock):
        def watch(self, values):
            self.record(values)

    mine = Mine("mine", disk_path=tmp_path, hertz=50)
    mine.watch(ROWS)

    assert (mine.name, mine.hertz, mine.state_count) == ("mine", 50, 8)
    with pytest.raises(TypeError):
        base("mine", misspelt=1)


def test_hooks_go_before_a_layer_and_after_it():
    before, after = ts.StateCaptureHook(name="before"), ts.StateCaptureHook(name="after")
    layer = nn.Linear(2, 3)
    layer.register_forward_pre_hook(before)
    layer.register_forward_hook(after)
    with torch.no_grad():
        output = layer(ROWS)

    assert captured(before) == brute_force(ROWS.numpy(), -1)
    assert captured(after) == brute_force(output.numpy(), -1)


@pytest.mark.parametrize("make", [ts.StateCaptureHook, ts.StateCapture])
def test_capture_is_switched_off_without_losing_counts(make):
    capture = make("mine")
    capture.record(ROWS)
    capture.capture_on = False
    capture.record(ROWS)
    assert capture.state_count == 8
    capture.capture_on = True
    capture.record(ROWS)
    assert capture.state_count == 16


def test_a_keras_capture_is_a_layer_that_changes_nothing():
    capture = ts.StateCapture(name="mine", disk_path=None, dtype="float32")
    values = ROWS.numpy()
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(capture(values)), values)
    assert captured(capture) == brute_force(values, -1)

    capture.reset_states(input_shape=(None, 2))
    assert (capture.state_count, capture.max_entropy()) == (0, 2.0)


# States.compress_states, decompress_states, sort_states


@pytest.mark.parametrize("n_neurons", [1, 7, 8, 9, 64, 65, 130])
@pytest.mark.parametrize("kind", [np.float32, np.bool_])
def test_states_are_compressed_and_decompressed(n_neurons, kind):
    values = np.random.default_rng(0).standard_normal((20, n_neurons)).astype(np.float32)
    firing = values > 0

    packed = ts.compress_states(firing if kind is np.bool_ else values)

    for row, states in zip(packed, firing, strict=True):
        by_hand = [0] * math.ceil(n_neurons / 8)
        for neuron in np.flatnonzero(states):
            by_hand[neuron // 8] |= 1 << (neuron % 8)
        assert row.tolist() == by_hand
    np.testing.assert_array_equal(ts.decompress_states(packed, n_neurons), firing)


@pytest.mark.parametrize("state_count", [0, 1, 30])
def test_sorting_puts_equal_states_side_by_side(state_count):
    states = np.random.default_rng(0).integers(0, 3, (30, 2)).astype(np.uint8)

    edges, order = ts.sort_states(states, state_count)

    assert sorted(order.tolist()) == list(range(state_count))
    groups = [states[order[start:end]] for start, end in itertools.pairwise(edges)]
    assert all((group == group[0]).all() for group in groups)
    _, counts = np.unique(states[:state_count], axis=0, return_counts=True)
    assert sorted(map(len, groups)) == sorted(counts.tolist())


def test_states_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"shape \(n_states, n_neurons\), got \(3,\)"):
        ts.compress_states(np.ones(3))
    with pytest.raises(ValueError, match="cannot sort 4 of 3 states"):
        ts.sort_states(np.ones((3, 1), np.uint8), 4)
