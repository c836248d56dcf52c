import math
import os
import subprocess
import sys

import pytest
import torch

keras = pytest.importorskip("keras")

from deep_bottleneck.causal import (  # noqa: E402
    channel_of,
    ei,
    ei_parts,
    ei_parts_matrix,
    topology_of,
    weight_graph,
)
from deep_bottleneck.causal.connections import connections_of  # noqa: E402
from deep_bottleneck.causal.network.keras_layers import as_module  # noqa: E402

layers = keras.layers

# Keras hands PyTorch tensors to NumPy in a way that NumPy 2 deprecates
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


class Halved:
    """An activation that is an object, without a name."""

    def __call__(self, values):
        return values / 2


def with_random_weights(layer, shape):
    layer.build((None, *shape))
    generator = torch.Generator().manual_seed(0)
    layer.set_weights(
        [torch.rand(w.shape, generator=generator).numpy() for w in layer.get_weights()]
    )
    return layer


@pytest.mark.parametrize(
    "layer, shape",
    [
        (layers.Dense(3), (4,)),
        (layers.Dense(3, use_bias=False), (4,)),
        (layers.Conv1D(2, 3, strides=2), (9, 3)),
        (layers.Conv2D(2, (3, 2), dilation_rate=2, padding="same"), (7, 8, 3)),
        (layers.Conv2D(4, 2, groups=2), (5, 5, 2)),
        (layers.Conv3D(2, 2, use_bias=False), (3, 4, 3, 1)),
        (layers.MaxPooling2D(2), (4, 6, 3)),
        (layers.AveragePooling1D(3, strides=2), (7, 2)),
        (layers.BatchNormalization(), (3,)),
        (layers.BatchNormalization(), (4, 4, 3)),
        (layers.BatchNormalization(scale=False, center=False), (4, 3)),
        (layers.Flatten(), (2, 3)),
        (layers.Dropout(0.5), (3,)),
    ],
)
def test_modules_compute_what_the_layers_do(layer, shape):
    layer = with_random_weights(layer, shape)
    values = torch.rand(5, *shape)

    expected = keras.ops.convert_to_numpy(layer(values, training=False))

    assert as_module(layer)(values).numpy() == pytest.approx(expected, abs=1e-5)


def test_topology_of_a_sequence_has_fused_and_separate_activations():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(2, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(4),
            layers.Activation("tanh"),
            layers.Dropout(0.1),
            layers.Dense(3, activation="sigmoid"),
        ]
    )

    topology = topology_of(model, None)

    convolution, pool, flatten, dense, _, dropout, last = model.layers
    assert list(topology.edges) == [
        (convolution, pool), (pool, flatten), (flatten, dense), (dense, dropout), (dropout, last),
    ]  # fmt: skip
    assert isinstance(topology.nodes[convolution]["output"]["activation"], torch.nn.ReLU)
    assert isinstance(topology.nodes[dense]["input"]["activation"], torch.nn.ReLU)
    assert isinstance(topology.nodes[dense]["output"]["activation"], torch.nn.Tanh)
    assert isinstance(topology.nodes[last]["input"]["activation"], torch.nn.Tanh)
    assert isinstance(topology.nodes[last]["output"]["activation"], torch.nn.Sigmoid)
    assert topology.nodes[convolution]["output"]["shape"] == (1, 6, 6, 2)


@pytest.mark.parametrize(
    "layer, activation, limits",
    [
        (layers.Activation("relu6"), torch.nn.ReLU6(), (0, 6)),
        (layers.ReLU(), torch.nn.ReLU(), (0, 10)),
        (layers.ReLU(max_value=4), torch.nn.Hardtanh(0, 4), (0, 4)),
        (layers.ReLU(negative_slope=0.1), torch.nn.LeakyReLU(0.1), (-10, 10)),
        (layers.LeakyReLU(0.2), torch.nn.LeakyReLU(0.2), (-10, 10)),
        (layers.ELU(), torch.nn.ELU(), (-1, 10)),
        (layers.ELU(alpha=2), torch.nn.ELU(2), (-2, 10)),
        (layers.Softmax(), torch.nn.Softmax(dim=-1), (0, 1)),
    ],
)
def test_activations_that_are_layers_are_activations(layer, activation, limits):
    dense, after = layers.Dense(4), layers.Dense(2)
    model = keras.Sequential([keras.Input((3,)), dense, layer, after])

    topology = topology_of(model, None)

    assert list(topology.edges) == [(dense, after)]
    found = topology.nodes[dense]["output"]["activation"]
    assert type(found) is type(activation)
    values = torch.linspace(-8, 8, 33)
    assert torch.equal(found(values), activation(values))
    assert torch.allclose(torch.as_tensor(keras.ops.convert_to_numpy(layer(values))), found(values))
    assert channel_of(dense, topology).out_range == limits
    assert channel_of(after, topology).in_range == limits


@pytest.mark.parametrize(
    "layer, sentence",
    [
        (layers.PReLU(), "the activation PReLU of the Keras layer .* is not known; those that"),
        (layers.ReLU(threshold=1), "is a ReLU with a threshold, or with a max_value and a neg"),
        (layers.ReLU(6, negative_slope=0.1), "not known: give it at most one of the latter two"),
        (layers.Dense(2, activation=Halved()), "the activation Halved of the Keras layer dense"),
    ],
)
def test_an_activation_that_is_not_known_is_named_and_needed_by_no_weight_graph(layer, sentence):
    dense = layers.Dense(4, kernel_initializer="identity")
    model = keras.Sequential([keras.Input((4,)), dense, layer])

    with pytest.raises(TypeError, match=sentence):
        topology_of(model, None)
    shapes = weight_graph.get_shapes(model)
    assert shapes[dense] == ((1, 4), (1, 4))
    assert weight_graph.ei(model, shapes={dense: shapes[dense]}) == pytest.approx(2)


def test_topology_of_a_functional_model_with_a_skip_connection():
    given = keras.Input((4,))
    first = layers.Dense(4, activation="relu", name="first")(given)
    second = layers.Dense(4, name="second")(first)
    joined = layers.Concatenate()([first, layers.Add()([first, second])])
    model = keras.Model(given, layers.Dense(2, name="last")(joined))

    topology = topology_of(model, None)

    edges = {(source.name, target.name) for source, target in topology.edges}
    assert edges == {("first", "second"), ("first", "last"), ("second", "last")}


def test_a_layer_is_measured_like_the_module_with_its_weights():
    layer = with_random_weights(layers.Dense(3, activation="sigmoid"), (2,))
    module = torch.nn.Linear(2, 3)
    module.load_state_dict(as_module(layer).state_dict())
    options = {"samples": 1_000, "in_range": (0, 1), "in_bins": 8, "out_bins": 8, "seed": 0}
    network = torch.nn.Sequential(module, torch.nn.Sigmoid())

    of_layer = ei_parts_matrix(layer, topology_of(layer, None), **options)
    of_module = ei_parts_matrix(module, topology_of(network, torch.zeros(1, 2)), **options)

    assert of_layer == pytest.approx(of_module)


def test_convolutions_are_measured_on_their_patch_and_in_stretches():
    model = keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            layers.Conv2D(3, 3, padding="same", strides=2, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )
    topology = topology_of(model, None)
    convolution, pool, flatten, dense = model.layers
    options = {"samples": 200, "in_bins": 4, "out_bins": 4, "in_range": (0, 1),
               "out_range": "dynamic"}  # fmt: skip

    assert ei_parts_matrix(convolution, topology, **options).shape == (18, 3)
    assert ei_parts_matrix(pool, topology, in_layer=convolution, **options).shape == (50, 3)
    assert ei_parts_matrix(dense, topology, in_layer=pool, **options).shape == (48, 2)
    with pytest.raises(ValueError, match=r'padding="causal", or "same" and strides, cannot be'):
        ei_parts(flatten, topology, in_layer=convolution, **options)


def test_the_weight_graph_of_a_model_is_that_of_its_modules():
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            layers.Conv2D(3, 3),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dense(5),
        ]
    )
    convolution, _, _, dense = model.layers
    network = torch.nn.Sequential(
        as_module(convolution).inner, torch.nn.AvgPool2d(2), torch.nn.Flatten(), as_module(dense)
    )

    assert weight_graph.ei(model) == pytest.approx(
        weight_graph.ei(network, torch.zeros(1, 2, 6, 6))
    )


@pytest.mark.parametrize(
    "layer, shape",
    [
        (layers.Conv1D(1, 3, padding="causal"), (6, 1)),
        (layers.Conv1D(2, 3, padding="causal", dilation_rate=2), (7, 2)),
        (layers.Conv1D(2, 4, padding="causal", strides=3), (8, 1)),
        (layers.Conv1D(2, 2, padding="causal", strides=3), (9, 1)),
        (layers.Conv2D(2, 3, padding="same", strides=2), (5, 6, 1)),
        (layers.Conv2D(2, (3, 2), padding="valid", strides=2), (6, 6, 2)),
    ],
)
def test_connections_are_those_that_each_input_alone_shows(layer, shape):
    layer = with_random_weights(layer, shape)
    n_inputs = math.prod(shape)

    def outputs(values):
        found = keras.ops.convert_to_numpy(layer(values.view(-1, *shape)))
        return torch.as_tensor(found).flatten(1)

    expected = outputs(torch.eye(n_inputs)) - outputs(torch.zeros(1, n_inputs))
    out_shape = layer.compute_output_shape((1, *shape))
    matrix = connections_of(layer, (1, *shape), out_shape).matrix()
    by_channel = matrix.view(shape[-1], -1, out_shape[-1], math.prod(out_shape[1:-1]))
    channels_last = by_channel.permute(1, 0, 3, 2).reshape(n_inputs, -1)

    assert channels_last.numpy() == pytest.approx(expected.numpy(), abs=1e-6)


def test_bad_input():
    with pytest.raises(ValueError, match=r"dense.* has no weights yet: build it first"):
        as_module(layers.Dense(2))
    recurrent = layers.LSTM(2)
    topology = topology_of(keras.Sequential([keras.Input((3, 2)), recurrent]), None)
    with pytest.raises(TypeError, match=r"\(LSTM\) cannot be measured; layers that can are: Dense"):
        ei(recurrent, topology)

    class Subclassed(keras.Model):
        pass

    with pytest.raises(ValueError, match="has no graph: build it, or make it Sequential or"):
        topology_of(Subclassed(), None)


@pytest.mark.tensorflow
@pytest.mark.slow
def test_layers_of_another_backend():
    pytest.importorskip("tensorflow")
    script = """
import keras
from deep_bottleneck.causal import ei_parts, topology_of
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="tanh")])
value = ei_parts(model.layers[0], topology_of(model, None), samples=500, in_range=(0, 1))
assert keras.backend.backend() == "tensorflow" and value > 0
"""
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)
