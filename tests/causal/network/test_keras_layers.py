import math
import os
import subprocess
import sys

import numpy as np
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
from deep_bottleneck.causal.connections import connections_of, parts_of  # noqa: E402
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
        (layers.LayerNormalization(), (4, 3)),
        (layers.LayerNormalization(scale=False, center=False), (3,)),
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
    "activation",
    [
        Halved(), "mish", "celu", "hard_silu", "log_sigmoid", "tanh_shrink", "exponential",
        "squareplus", "log_softmax", lambda x: keras.ops.sin(x),
    ],
)  # fmt: skip
def test_any_activation_of_keras_is_that_of_the_layer(activation):
    dense = layers.Dense(4, activation=activation)
    model = keras.Sequential([keras.Input((3,)), dense])
    noise = torch.rand(6, 3)

    channel = channel_of(dense, topology_of(model, None), out_range="dynamic")

    expected = torch.as_tensor(keras.ops.convert_to_numpy(model(noise)))
    assert torch.allclose(channel(noise)[0], expected, atol=1e-5)


@pytest.mark.parametrize(
    "layer",
    [
        layers.ReLU(threshold=1),
        layers.ReLU(6, negative_slope=0.1),
        layers.PReLU(alpha_initializer=keras.initializers.RandomUniform(-1, 1, seed=0)),
    ],
)
def test_any_activation_layer_of_keras_is_that_of_the_layer_before(layer):
    dense = layers.Dense(4)
    model = keras.Sequential([keras.Input((3,)), dense, layer])
    noise = 4 * torch.rand(6, 3) - 2

    channel = channel_of(dense, topology_of(model, None))

    expected = torch.as_tensor(keras.ops.convert_to_numpy(model(noise)))
    assert torch.allclose(channel(noise)[0], expected, atol=1e-5)


class Squared(layers.Layer):
    def call(self, values):
        return values**2


@pytest.mark.parametrize(
    ("applied", "layer", "limits"),
    [
        (keras.ops.relu, layers.ReLU(), (0, 10)),
        (keras.activations.relu, layers.ReLU(), (0, 10)),
        (lambda x: keras.activations.relu(x, max_value=4), layers.ReLU(4), (0, 4)),
        (lambda x: keras.ops.maximum(x, 0.0), layers.ReLU(), (0, 10)),
        (keras.ops.tanh, layers.Activation("tanh"), (-1, 1)),
        (keras.ops.sigmoid, layers.Activation("sigmoid"), (0, 1)),
        (keras.ops.softmax, layers.Softmax(), (0, 1)),
        (keras.ops.elu, layers.ELU(), (-1, 10)),
        (lambda x: keras.ops.leaky_relu(x, 0.1), layers.LeakyReLU(0.1), (-10, 10)),
        (keras.ops.hard_tanh, layers.Activation("hard_tanh"), (-1, 1)),
        (layers.Lambda(lambda x: keras.ops.sin(x)), layers.Activation(keras.ops.sin), (-1, 1)),
        (Squared(), layers.Activation(keras.ops.square), (0, 100)),
    ],
)
def test_a_function_between_layers_is_the_activation_that_a_layer_is(applied, layer, limits):
    dense, after, noise = layers.Dense(4), layers.Dense(2), 4 * torch.rand(6, 3) - 2
    given = keras.Input((3,))
    found, known = (
        topology_of(keras.Model(given, after(then(dense(given)))), None)
        for then in (applied, layer)
    )

    assert channel_of(dense, found).out_range == channel_of(after, found).in_range == limits
    values = channel_of(dense, found)(noise)[0]
    assert torch.allclose(values, channel_of(dense, known)(noise)[0], atol=1e-6)


def test_a_layer_as_an_activation_is_that_layer():
    dense = layers.Dense(4, activation=layers.LeakyReLU(0.1))

    topology = topology_of(keras.Sequential([keras.Input((3,)), dense]), None)

    assert channel_of(dense, topology).out_range == (-10, 10)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * keras.ops.sigmoid(x),
        lambda x: 3 * x + 1,
        lambda x: keras.ops.cumsum(x, -1),
        lambda x: x - keras.ops.mean(x, -1, keepdims=True),
    ],
)
def test_a_gate_and_what_is_affine_or_mixes_values_is_no_activation(function):
    dense, after, given = layers.Dense(4), layers.Dense(2), keras.Input((3,))

    topology = topology_of(keras.Model(given, after(function(dense(given)))), None)

    assert topology.nodes[dense]["output"]["activation"] is None
    assert channel_of(after, topology).in_range == (-10, 10)


@pytest.mark.parametrize(
    "kept",
    [
        layers.Permute((2, 1)),
        layers.GaussianNoise(0.1),
        layers.SpatialDropout1D(0.1),
        layers.GlobalMaxPooling1D(),
        layers.UpSampling1D(2),
        lambda x: x[:, :1],
        lambda x: keras.ops.transpose(x, (0, 2, 1)),
        lambda x: keras.ops.flip(x, axis=1),
        lambda x: keras.ops.max(x, axis=1, keepdims=True),
        lambda x: keras.ops.mean(x, axis=1, keepdims=True),
        lambda x: keras.ops.reshape(x, (-1, 8)),
    ],
)
def test_what_keeps_values_keeps_their_range(kept):
    dense, after, given = layers.Dense(4, "sigmoid"), layers.Dense(2), keras.Input((2, 3))

    topology = topology_of(keras.Model(given, after(kept(dense(given)))), None)

    assert channel_of(after, topology).in_range == (0, 1)


def test_slopes_of_channels_and_of_places():
    slopes = keras.initializers.RandomUniform(-1, 1, seed=0)
    shared = layers.PReLU(slopes, shared_axes=[1, 2])
    convolution, noise = layers.Conv2D(3, 2), 4 * torch.rand(6, 2, 2, 1) - 2
    model = keras.Sequential([keras.Input((2, 2, 1)), convolution, shared])

    found = channel_of(convolution, topology_of(model, None))(noise.flatten(1))[0]

    expected = torch.as_tensor(keras.ops.convert_to_numpy(model(noise))).flatten(1)
    assert torch.allclose(found, expected, atol=1e-5)

    of_places = keras.Sequential(
        [keras.Input((4, 4, 1)), layers.Conv2D(3, 2), layers.PReLU(slopes)]
    )
    with pytest.raises(ValueError, match="which is not that of the neurons"):
        channel_of(of_places.layers[0], topology_of(of_places, None))


def test_a_softmax_of_channels_between_convolutions():
    model = keras.Sequential(
        [keras.Input((2, 2, 1)), layers.Conv2D(3, 1, activation="softmax"), layers.Conv2D(2, 2)]
    )
    first, last = model.layers
    noise = torch.rand(6, 2, 2, 1)

    channel = channel_of(last, topology_of(model, None), in_layer=first)

    found = channel(noise.flatten(1))[0]
    expected = torch.as_tensor(keras.ops.convert_to_numpy(model(noise))).flatten(1)
    assert torch.allclose(found, expected, atol=1e-5)


def test_an_activation_that_mixes_outputs_has_no_range_but_can_be_given_one():
    dense = layers.Dense(4, activation="sparsemax")
    topology = topology_of(keras.Sequential([keras.Input((3,)), dense]), None)

    with pytest.raises(ValueError, match=r"activation Applied\(sparsemax\) is not known: pass"):
        channel_of(dense, topology)
    assert channel_of(dense, topology, out_range=(0, 1)).out_range == (0, 1)


def test_a_gate_has_no_activation_of_its_own():
    given = keras.Input((3,))
    gate = layers.Dense(3)
    hidden = gate(given)
    gated = layers.Multiply()([hidden, layers.Activation("sigmoid")(hidden)])

    topology = topology_of(keras.Model(given, layers.Dense(2)(gated)), None)

    assert topology.nodes[gate]["output"]["activation"] is None


def named_edges(topology):
    return {(source.name, target.name) for source, target in topology.edges}


def test_what_comes_after_a_layer_that_is_called_again_is_followed():
    given = keras.Input((4,))
    shared, last = layers.Dense(4, name="shared"), layers.Dense(2, name="last")
    model = keras.Model(given, last(layers.ReLU()(shared(layers.ReLU()(shared(given))))))

    topology = topology_of(model, None)

    assert named_edges(topology) == {("shared", "shared"), ("shared", "last")}
    assert isinstance(topology.nodes[last]["input"]["activation"], torch.nn.ReLU)
    assert list(weight_graph.get_shapes(model)) == [shared, last]


def test_models_inside_a_model_are_followed():
    innermost = keras.Sequential([layers.Dense(3, "tanh", name="third")])
    given = keras.Input((3,))
    twice = keras.Model(given, innermost(layers.Dense(3, "relu", name="second")(given)))
    outer = keras.Input((4,))
    hidden = layers.Dense(3, name="first")(outer)
    model = keras.Model(outer, layers.Dense(2, name="last")(twice(twice(hidden))))

    topology = topology_of(model, None)

    assert named_edges(topology) == {
        ("first", "second"), ("second", "third"), ("third", "second"), ("third", "last"),
    }  # fmt: skip
    last = model.layers[-1]
    assert isinstance(topology.nodes[last]["input"]["activation"], torch.nn.Tanh)
    assert [layer.name for layer in weight_graph.get_shapes(model)] == [
        "first", "second", "third", "last",
    ]  # fmt: skip


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
        (layers.DepthwiseConv2D(3, depth_multiplier=2), (5, 4, 2)),
        (layers.DepthwiseConv1D(2, padding="same", dilation_rate=2), (5, 3)),
        (layers.DepthwiseConv2D(3, strides=2, padding="same"), (5, 6, 2)),
        (layers.Conv2DTranspose(2, 3), (3, 2, 2)),
        (layers.Conv2DTranspose(2, 3, strides=2, padding="same"), (3, 4, 1)),
        (layers.Conv2DTranspose(1, 2, strides=3), (3, 2, 2)),
        (layers.Conv1DTranspose(2, 4, strides=2), (3, 2)),
        (layers.Conv1DTranspose(2, 5, strides=2, padding="same"), (4, 2)),
        (layers.Conv1DTranspose(2, 3, dilation_rate=2), (4, 1)),
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


def test_a_separable_convolution_is_two_sets_of_connections():
    layer = with_random_weights(layers.SeparableConv2D(3, 2, depth_multiplier=2), (4, 5, 2))
    units = torch.eye(40).view(-1, 4, 5, 2)

    first, second = parts_of(layer, (1, 4, 5, 2), layer.compute_output_shape((1, 4, 5, 2)))

    matrix = (first.matrix() @ second.matrix()).view(2, 20, 3, 12)
    channels_last = matrix.permute(1, 0, 3, 2).reshape(40, 36)
    outputs = keras.ops.convert_to_numpy(layer(units) - layer(0 * units))
    assert channels_last.numpy() == pytest.approx(outputs.reshape(40, 36), abs=1e-5)


@pytest.mark.parametrize("kind, n_gates", [("LSTM", 4), ("GRU", 3), ("SimpleRNN", 1)])
def test_a_recurrent_layer_leads_from_features_and_state_to_gates(kind, n_gates):
    layer = with_random_weights(getattr(layers, kind)(3), (5, 2))
    kernel, of_states, *_ = layer.get_weights()
    both = layers.Bidirectional(getattr(layers, kind)(3))
    both.build((None, 5, 2))

    found = connections_of(layer, (1, 5, 2), (1, 3)).matrix()

    assert found.shape == (5, 3 * n_gates)
    assert found.numpy() == pytest.approx(np.concatenate([kernel, of_states]))
    assert len(parts_of(both, (1, 5, 2), (1, 6))) == 2


def test_attention_words_and_layers_of_each_step_have_connections():
    given = keras.Input((None,), dtype="int32")
    words = layers.Embedding(9, 4)(given)
    attended = layers.MultiHeadAttention(2, 3)(words, words)
    model = keras.Model(given, layers.TimeDistributed(layers.Dense(5))(attended))
    embedding, attention, each_step = model.layers[1:]

    shapes = weight_graph.get_shapes(model)

    assert list(shapes) == [embedding, attention, each_step]
    sizes = [part.matrix().shape for part in parts_of(attention, *shapes[attention])]
    assert sizes == [(4, 6), (4, 6), (4, 6), (6, 4)]
    (dense,) = parts_of(each_step, *shapes[each_step])
    assert torch.equal(dense.matrix().float(), torch.as_tensor(each_step.get_weights()[0]))
    assert weight_graph.ei(model, shapes={embedding: shapes[embedding]}) > 0


def test_the_average_of_keras_leaves_its_padding_out():
    layer = layers.AveragePooling1D(3, strides=2, padding="same")

    matrix = connections_of(layer, (1, 4, 1), (1, 2, 1)).matrix()

    assert matrix.T.tolist() == [pytest.approx([1 / 3, 1 / 3, 1 / 3, 0]), [0, 0, 0.5, 0.5]]


def test_layers_that_are_left_out_are_named():
    @keras.saving.register_keras_serializable("tests")
    class Own(layers.Layer):
        def build(self, shape):
            self.matrix = self.add_weight(shape=(shape[-1], 2), name="matrix")

        def call(self, values):
            return values @ self.matrix

    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(3), layers.BatchNormalization(), Own(name="of_mine")]
    )

    with pytest.warns(UserWarning, match=r"^left out of the weight graph: of_mine \(Own\)$"):
        assert list(weight_graph.get_shapes(model)) == [model.layers[0]]


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


def test_a_quantised_layer_is_named_since_its_weights_are_packed():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="packed")])
    (packed,) = model.layers
    packed.quantize("int8")

    with pytest.raises(TypeError, match="packed is quantised to int8, so that its weights"):
        channel_of(packed, topology_of(model, None))
    with pytest.warns(UserWarning, match=r"^left out of the weight graph: packed \(Dense\)$"):
        assert not weight_graph.get_shapes(model)
