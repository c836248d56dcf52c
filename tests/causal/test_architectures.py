"""Every layer with weights is measured, or named in one sentence."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from deep_bottleneck.causal import channel_of, measures_of, topology_of, weight_graph
from deep_bottleneck.causal.network.modules import Projection

keras = pytest.importorskip("keras")
layers = keras.layers

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning",
    "ignore::deep_bottleneck.errors.OutOfRangeWarning",
    "ignore::deep_bottleneck.errors.UnresolvedWarning",
)


class Gpt(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.places = nn.Embedding(7, 4), nn.Parameter(torch.randn(3, 4))
        self.norm, self.attention = nn.LayerNorm(4), nn.MultiheadAttention(4, 2, batch_first=True)
        self.up, self.down, self.readout = nn.Linear(4, 8), nn.Linear(8, 4), nn.Linear(4, 7)

    def forward(self, x):
        x = self.words(x) + self.places
        y = self.norm(x)
        mask = nn.Transformer.generate_square_subsequent_mask(3)
        x = x + self.attention(y, y, y, attn_mask=mask, need_weights=False)[0]
        return self.readout(x + self.down(functional.gelu(self.up(x))))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = (nn.Conv2d(2, 2, 3, padding=1) for _ in range(2))
        self.norm, self.groups = nn.BatchNorm2d(2), nn.GroupNorm(1, 2)
        self.readout = nn.Linear(2, 3)

    def forward(self, x):
        x = x + self.groups(self.second(self.norm(self.first(x)).relu()))
        return self.readout(x.relu().mean((2, 3)))


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.both, self.squeeze, self.excite = nn.Linear(4, 6), nn.Linear(3, 2), nn.Linear(2, 3)
        self.readout = nn.Linear(3, 2)

    def forward(self, x):
        y = functional.glu(self.both(x))
        return self.readout(y * self.excite(self.squeeze(y).relu()).sigmoid())


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right, self.pair = nn.Linear(2, 3), nn.Linear(4, 3), nn.Bilinear(3, 3, 2)

    def forward(self, x, y):
        return self.pair(self.left(x).tanh(), self.right(y).tanh())


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.cell, self.readout = (
            nn.LSTM(3, 4, batch_first=True), nn.GRUCell(4, 3), nn.Linear(3, 2)
        )  # fmt: skip

    def forward(self, x):
        return self.readout(self.cell(self.lstm(x)[0][:, -1]))


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.shared, self.readout = nn.Linear(3, 3), nn.Linear(3, 2)

    def forward(self, x):
        return self.readout(self.shared(self.shared(x).relu()).relu())


NETWORKS = {
    "GPT block": (Gpt(), torch.zeros(1, 3, dtype=torch.long)),
    "ViT block": (
        nn.TransformerEncoderLayer(4, 2, 8, activation="gelu", norm_first=True, batch_first=True),
        torch.zeros(1, 5, 4),
    ),
    "ResNet block": (Residual(), torch.zeros(1, 2, 4, 4)),
    "gates": (Gated(), torch.zeros(1, 4)),
    "two inputs": (TwoInputs(), (torch.zeros(1, 2), torch.zeros(1, 4))),
    "recurrent": (Recurrent(), torch.zeros(1, 5, 3)),
    "shared": (Shared(), torch.zeros(1, 3)),
    "nested": (
        nn.Sequential(nn.Sequential(nn.Linear(3, 4), nn.Mish()), nn.Sequential(nn.Linear(4, 2))),
        torch.zeros(1, 3),
    ),
    "separable": (
        nn.Sequential(nn.Conv2d(2, 2, 3, groups=2), nn.Conv2d(2, 3, 1), nn.Hardswish()),
        torch.zeros(1, 2, 5, 5),
    ),
    "autoencoder": (
        nn.Sequential(nn.Conv1d(1, 3, 3, 2), nn.ELU(), nn.ConvTranspose1d(3, 1, 3, 2)),
        torch.zeros(1, 1, 9),
    ),
    "parametrised": (
        nn.Sequential(
            parametrizations.weight_norm(nn.Linear(3, 4)),
            nn.Tanh(),
            parametrizations.orthogonal(nn.Linear(4, 2)),
        ),
        torch.zeros(1, 3),
    ),
    "bfloat16": (
        nn.Sequential(nn.Linear(3, 4), nn.PReLU(4), nn.Linear(4, 2)).bfloat16(),
        torch.zeros(1, 3, dtype=torch.bfloat16),
    ),
    "frozen": (nn.Sequential(nn.Linear(3, 2).requires_grad_(False)), torch.zeros(1, 3)),
}


def named(layer, model):
    if isinstance(layer, Projection):
        return f"{named(layer.attention, model)}.{layer.part}"
    return next(name for name, module in model.named_modules() if module is layer)


def with_weights(model):
    """The names of all layers with weights, attention by its four projections."""
    found = set()
    for name, module in model.named_modules():
        if isinstance(module, nn.MultiheadAttention):
            found |= {f"{name}.{part}" for part in ("query", "key", "value")}
        elif hasattr(module, "weight") or isinstance(module, nn.RNNBase | nn.RNNCellBase):
            found.add(name)
    return {name for name in found if "parametrizations" not in name}


@pytest.mark.parametrize("architecture", NETWORKS)
def test_every_layer_is_measured_or_named(architecture):
    model, given = NETWORKS[architecture]
    model.eval()

    topology = topology_of(model, given)

    nodes = {named(layer, model): layer for layer in topology}
    activations = {name for name, module in model.named_modules() if isinstance(module, nn.PReLU)}
    assert with_weights(model) - activations <= nodes.keys()
    for name in with_weights(model) - activations:
        if name == "lstm":
            with pytest.raises(TypeError, match=r"LSTM\(3, 4.* cannot be measured; modules that"):
                channel_of(nodes[name], topology)
            continue
        channel = channel_of(nodes[name], topology, in_bins=4, out_bins=4, outside="clip")
        found = measures_of(channel, 500, seed=0)
        assert all(bool(values.isfinite().all()) for values in found.values()), name


@pytest.mark.parametrize("architecture", NETWORKS)
def test_every_layer_has_a_weight_graph_or_is_named(architecture):
    model, given = NETWORKS[architecture]
    model.eval()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        shapes = weight_graph.get_shapes(model, given)

    told = " ".join(str(warning.message) for warning in caught)
    for name, module in model.named_modules():
        if "parametrizations" in name:
            continue
        matrix = getattr(module, "weight", None)
        connects = matrix is not None and matrix.dim() > 1
        if connects or isinstance(module, nn.MultiheadAttention | nn.LSTM | nn.GRUCell):
            assert module in shapes or f"{name} ({type(module).__name__})" in told
    assert weight_graph.ei(model, shapes=shapes) >= 0
    assert ("pair (Bilinear)" in told) == (architecture == "two inputs")


def test_every_layer_of_a_keras_model_is_measured_or_named():
    inner = keras.Sequential([layers.Dense(4, "mish", name="inside"), layers.Dropout(0.1)])
    given = keras.Input((6, 6, 2))
    values = layers.SeparableConv2D(4, 3, name="separable")(given)
    values = layers.Reshape((16, 4))(values)
    values = layers.MultiHeadAttention(2, 2, name="attention")(values, values)
    values = inner(layers.LayerNormalization(name="norm")(values))
    values = layers.GRU(3, name="recurrent")(values)
    model = keras.Model(given, layers.Dense(2, "softmax", name="readout")(values))
    model.get_layer("readout").trainable = False

    topology = topology_of(model, None)
    shapes = weight_graph.get_shapes(model)

    nodes = {layer.name: layer for layer in topology}
    for name in ("norm", "inside", "readout"):
        assert bool(measures_of(channel_of(nodes[name], topology), 200, seed=0)["ei_parts"] >= 0)
    for name in ("separable", "attention", "recurrent"):
        with pytest.raises(TypeError, match=f"the Keras layer {name} .* cannot be measured"):
            channel_of(nodes[name], topology)
    assert [layer.name for layer in shapes] == [
        "separable", "attention", "inside", "recurrent", "readout",
    ]  # fmt: skip
