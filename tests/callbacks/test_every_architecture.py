"""Every layer of every ordinary network has a right value of each measure, or is named.

A network says itself what its places give: the tensors that it was put together of.
"""

import warnings

import keras
import numpy as np
import pytest
from keras import layers, ops
from notes import Notes

from deep_bottleneck.callbacks import effective_information, efficiency, weight_graph_information
from deep_bottleneck.interfaces import Dataset, LabelledDataset
from deep_bottleneck.mi_estimator import binning
from deep_bottleneck.training.batches import Batches
from deep_bottleneck.training.layers import watched_layers
from deep_bottleneck.training.sequential import SequentialGroup

WIDTH = 0.25
PLAIN = (layers.Dense, layers.Conv1D, layers.Conv2D, layers.DepthwiseConv2D)


def dense(name, units=4, activation="tanh", **options):
    return layers.Dense(units, activation, name=name, **options)


def finished(given, values, **places):
    """A network with a readout, and what its places give, by name."""
    readout = dense("readout", 2, "softmax")(values)
    return keras.Model(given, readout), {**places, "readout": readout}


def nested(given):
    first, second = dense("first"), dense("second")
    block = keras.Sequential([keras.Input((4,)), first, second], name="block")
    inside = first(given)
    outside = second(inside)
    return finished(given, block(given), **{"block.first": inside, "block.second": outside})


def shared(given):
    twice = dense("twice")
    first = twice(given)
    second = twice(first)
    return finished(given, second, twice=first, twice_2=second)


def frozen(given):
    hidden = dense("hidden", trainable=False)(given)
    return finished(given, hidden, hidden=hidden)


def attention(given):
    tokens = layers.Reshape((2, 2))(given)
    attended = layers.MultiHeadAttention(2, 3, name="attention")(tokens, tokens)
    return finished(given, layers.Flatten()(attended), attention=attended)


def recurrent(given):
    steps = layers.LSTM(3, return_sequences=True, name="lstm")(layers.Reshape((2, 2))(given))
    both = layers.Bidirectional(layers.GRU(2), name="both")(steps)
    return finished(given, both, lstm=steps, both=both)


def separable(given):
    image = layers.Reshape((2, 2, 1))(given)
    depth = layers.DepthwiseConv2D(2, padding="same", activation="relu", name="depth")(image)
    narrow = layers.SeparableConv2D(3, 2, activation="tanh", name="separable")(depth)
    return finished(given, layers.Flatten()(narrow), depth=depth, separable=narrow)


def wrapped(given):
    import torch

    module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh())
    made = layers.TorchModuleWrapper(module, name="wrapped", output_shape=(None, 3))(given)
    return finished(given, made, wrapped=made)


def glu(given):
    gates = dense("gates", 6, None)(given)
    return finished(given, gates[:, :3] * ops.sigmoid(gates[:, 3:]), gates=gates)


def vit_block(given):
    tokens = dense("patches", 4, None)(layers.Reshape((2, 2))(given))
    values = layers.LayerNormalization()(tokens)
    attended = layers.MultiHeadAttention(2, 2, name="attention")(values, values)
    values = tokens + attended
    up = dense("up", 6, "gelu")(layers.LayerNormalization()(values))
    down = dense("down", 4, None)(up)
    pooled = layers.GlobalAveragePooling1D()(values + down)
    return finished(given, pooled, patches=tokens, attention=attended, up=up, down=down)


def resnet_block(given):
    image = layers.Reshape((2, 2, 1))(given)
    stem = layers.Conv2D(2, 2, padding="same", name="stem")(image)
    inner = layers.ReLU()(layers.BatchNormalization()(stem))
    inner = layers.Conv2D(2, 2, padding="same", name="inner")(inner)
    values = layers.ReLU()(layers.Add()([stem, inner]))
    return finished(given, layers.GlobalAveragePooling2D()(values), stem=stem, inner=inner)


def gpt_block(given):
    words = layers.Embedding(5, 4, name="words")(ops.cast(ops.abs(given) > 0.5, "int32"))
    values = layers.LayerNormalization()(words)
    attended = layers.MultiHeadAttention(1, 4, name="attention")(
        values, values, use_causal_mask=True
    )
    up = dense("up", 6, "gelu")(words + attended)
    return finished(given, layers.Flatten()(up), words=words, attention=attended, up=up)


def parametrised(given):
    hidden = layers.SpectralNormalization(dense("inner"), name="spectral")(given)
    return finished(given, hidden, spectral=hidden)


def channels_first(given):
    image = layers.Reshape((1, 2, 2))(given)
    conv = layers.Conv2D(3, 2, padding="same", data_format="channels_first", name="conv")(image)
    return finished(given, layers.Flatten()(conv), conv=conv)


def bfloat16(given):
    half = dense("half", dtype="bfloat16")(given)
    return finished(given, ops.cast(half, "float32"), half=half)


def two_inputs(given):
    left, right = dense("left", 3)(given[:, :2]), dense("right", 3)(given[:, 2:])
    return finished(given, layers.Concatenate()([left, right]), left=left, right=right)


class Mixing(layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.inner = dense("inner")

    def build(self, shape):
        self.inner.build(shape)

    def call(self, inputs):
        return inputs + self.inner(inputs)


def of_ones_own(given):
    mixing = Mixing(name="mixing")
    mixed = mixing(given)
    return finished(given, mixed, **{"mixing.inner": mixing.inner(given)})


ARCHITECTURES = [
    nested, shared, frozen, attention, recurrent, separable, glu, vit_block, resnet_block,
    gpt_block, parametrised, channels_first, bfloat16, two_inputs, of_ones_own,
    pytest.param(wrapped, marks=pytest.mark.backend("torch")),
]  # fmt: skip


@pytest.fixture(scope="module", params=ARCHITECTURES, ids=lambda make: make.__name__)
def network(request):
    """A network as a group of one run, and arrays of what its places give."""
    keras.utils.set_random_seed(0)
    model, places = request.param(keras.Input((4,)))
    model.compile("sgd", "categorical_crossentropy")
    examples = np.random.default_rng(0).standard_normal((40, 4)).astype(np.float32)
    part = LabelledDataset.from_labels(examples, examples[:, 0] > 0, 2)
    dataset = Dataset(part, part, 2)
    arrays = keras.Model(model.inputs, list(places.values())).predict(examples, verbose=0)
    truth = dict(zip(places, (values.astype(np.float32) for values in arrays), strict=True))
    return SequentialGroup(model, 0, dataset, Batches(40, 10, None, 0)), dataset, truth


def entropy(rows):
    _, counts = np.unique(rows.reshape(len(rows), -1), axis=0, return_counts=True)
    return -np.sum(counts / len(rows) * np.log2(counts / len(rows)))


def recorded(module, group, dataset, **options):
    """The table that a recorder leaves of a network."""
    notes = Notes()
    known = {"run": notes, "tables": notes, "schedule": lambda epoch: True, "dataset": dataset}
    wanted = module.load.__code__.co_varnames
    recorder = module.load(**{k: v for k, v in known.items() if k in wanted}, **options)
    recorder.on_group_epoch_end(0, group, {}, np.array([False]))
    recorder.on_train_end()
    return next(iter(notes.tables.values()))


def test_the_plane(network):
    group, dataset, truth = network

    outputs = group.activations(dataset.test.examples)

    assert [place.name for place in group.layer_outputs] == list(truth)
    for (name, values), found in zip(truth.items(), outputs, strict=True):
        information = binning.load(WIDTH).estimate(found, dataset.test.labels)
        assert information.mi_xm[0] == pytest.approx(entropy(np.floor(values / WIDTH))), name


def test_efficiency(network):
    group, dataset, truth = network

    table = recorded(efficiency, group, dataset)

    assert table["name"].tolist() == list(truth)[:-1]
    for name, found in zip(table["name"], table["efficiency"], strict=True):
        values = np.moveaxis(truth[name], 1, -1) if name == "conv" else truth[name]
        states = values.reshape(-1, values.shape[-1]) > 0
        assert found == pytest.approx(entropy(states) / states.shape[1]), name


def test_effective_information(network, caplog):
    group, dataset, truth = network
    options = {"seed": 0, "samples": 300, "in_bins": 2, "out_bins": 2}

    table = recorded(effective_information, group, dataset, **options)

    for name in truth:
        of_place = table[(table["name"] == name) & (table["measure"] != "ei")]
        is_known = of_place["value"].notna().all()
        assert len(of_place) == 4
        assert is_known or name.split("_2")[0] in caplog.text, name
        assert is_known or name not in ("readout", "gates", "left", "up", "first", "hidden"), name


def matrix_of(layer):
    """A layer's connections, by what it makes of a single input that is one."""
    activation, layer.activation = layer.activation, keras.activations.linear
    shape = layer.get_build_config()["input_shape"][1:]
    shape = shape[-1:] if isinstance(layer, layers.Dense) else shape  # of a single token
    ones = np.concatenate([np.eye(np.prod(shape)), np.zeros((1, np.prod(shape)))])
    given = ops.convert_to_tensor(ones.reshape(-1, *shape).astype(np.float32))
    found = np.asarray(ops.convert_to_numpy(ops.cast(layer(given), "float32")), np.float64)
    layer.activation = activation
    found = found.reshape(len(ones), -1)
    return found[:-1] - found[-1]


@pytest.mark.slow
def test_gradients_and_kernels(network):
    group, _, _ = network

    gradients, kernels = next(group.gradients(0)), group.kernels()

    for layer, gradient, kernel in zip(
        watched_layers(group.models[0]), gradients, kernels, strict=True
    ):
        assert gradient.shape == kernel.shape == (1, kernel.size)
        assert gradient.dtype == kernel.dtype == np.float32
        assert np.isfinite(gradient).all()
        if isinstance(layer, PLAIN):
            expected = ops.convert_to_numpy(ops.cast(layer.kernel, "float32"))
            np.testing.assert_array_equal(kernel[0], expected.ravel())


def test_the_weight_graph(network, caplog):
    group, dataset, truth = network

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        table = recorded(weight_graph_information, group, dataset)

    ei = table[(table["measure"] == "ei") & (table["layer"] >= 0)]
    assert ei["name"].tolist() == list(truth)
    for layer, name, found in zip(
        watched_layers(group.models[0]), ei["name"], ei["value"], strict=True
    ):
        if not isinstance(layer, PLAIN) or name == "mixing.inner":
            assert np.isfinite(found) or name in caplog.text, name
            continue
        rows = matrix_of(layer).clip(min=0)
        rows = rows / np.where(rows.sum(1) > 0, rows.sum(1), 1)[:, None]
        mean = rows.sum(0) / rows.sum()
        of_rows = -np.sum(rows * np.log2(rows, where=rows > 0, out=np.zeros_like(rows)))
        of_mean = -np.sum(mean * np.log2(mean, where=mean > 0, out=np.zeros_like(mean)))
        precision = 0.02 if name == "half" else 1e-4
        assert found == pytest.approx(of_mean - of_rows / len(rows), abs=precision), name
