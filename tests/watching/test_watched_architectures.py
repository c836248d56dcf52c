"""Tables of a watch are those of estimators on activations that were captured by hand."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import relu, scaled_dot_product_attention
from torch.nn.utils import parametrizations

from deep_bottleneck import watch
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.mi_estimator import binning

N = 60


class Residual(nn.Module):
    """A block whose input goes past two convolutions, the activations in place."""

    def __init__(self):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.conv2, self.norm2 = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.act = nn.ReLU(inplace=True)
        self.head = nn.Linear(3, 2)

    def forward(self, x):
        inner = self.act(self.norm1(self.conv1(x)))
        return self.head(self.act(self.norm2(self.conv2(inner)) + x).mean((2, 3)))


class ViT(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(1, 8, 4, stride=4)
        self.cls = nn.Parameter(torch.randn(1, 1, 8))
        self.encoder = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 1, enable_nested_tensor=False
        )
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        tokens = self.patch(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls.expand(len(x), -1, -1), tokens], dim=1)
        return self.head(self.encoder(tokens)[:, 0])


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(7, 8), nn.Embedding(5, 8)
        self.ln = nn.LayerNorm(8)
        self.qkv, self.proj = nn.Linear(8, 24), nn.Linear(8, 8)
        self.mlp = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
        self.lm_head = nn.Linear(8, 7, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, tokens):
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        q, k, v = self.qkv(self.ln(x)).chunk(3, dim=-1)
        x = x + self.proj(scaled_dot_product_attention(q, k, v, is_causal=True))
        return self.lm_head(x + self.mlp(x))


class Recurrent(nn.Module):
    """Steps first, examples second."""

    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.LSTM(3, 5), nn.Linear(5, 2)

    def forward(self, x):
        return self.head(self.rnn(x.transpose(0, 1))[0][-1])


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.head = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(torch.tanh(self.inner(torch.tanh(self.inner(x)))))


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right, self.join = nn.Linear(4, 3), nn.Linear(2, 3), nn.Bilinear(3, 3, 2)

    def forward(self, a, b):
        return self.join(self.left(a).relu(), self.right(b).relu())


class Experts(nn.Module):
    """Some examples skip the expert."""

    def __init__(self):
        super().__init__()
        self.stem, self.expert, self.head = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x):
        x = self.stem(x)
        chosen = x[:, 0] > 0
        y = x.clone()
        y[chosen] = self.expert(x[chosen])
        return self.head(y)


def mlp():
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Dropout(0.5), nn.Linear(5, 2))


def cnn():
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 2)
    )


def parametrized():
    return nn.Sequential(
        parametrizations.weight_norm(nn.Linear(4, 5)),
        nn.ReLU(),
        parametrizations.spectral_norm(nn.Linear(5, 2)),
    )


class Half(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = mlp().to(torch.bfloat16)

    def forward(self, x):
        return self.layers(x.to(torch.bfloat16))


def vectors():
    return torch.randn(N, 4)


ARCHITECTURES = {
    "mlp": (mlp, vectors, ["0", "3"]),
    "cnn": (cnn, lambda: torch.randn(N, 1, 8, 8), ["0", "4"]),
    "residual": (Residual, lambda: torch.randn(N, 3, 4, 4), ["conv1", "conv2", "head"]),
    "vit": (
        ViT,
        lambda: torch.randn(N, 1, 8, 8),
        [
            "patch",
            *(f"encoder.layers.0.{name}" for name in ("self_attn", "linear1", "linear2")),
            "head",
        ],
    ),
    "gpt": (
        GPT,
        lambda: torch.randint(7, (N, 5)),
        ["wte", "qkv", "proj", "mlp.0", "mlp.2", "lm_head"],
    ),
    "lstm": (Recurrent, lambda: torch.randn(N, 6, 3), ["rnn", "head"]),
    "shared": (Shared, vectors, ["inner", "inner_2", "head"]),
    "two inputs": (
        TwoInputs,
        lambda: (torch.randn(N, 4), torch.randn(N, 2)),
        ["left", "right", "join"],
    ),
    "experts": (Experts, vectors, ["stem", "head"]),
    "parametrized": (parametrized, vectors, ["0", "2"]),
    "half precision": (Half, vectors, ["layers.0", "layers.3"]),
}


def by_hand(model, x, names):
    """What forward hooks of one's own see in evaluation mode, by name of a call."""
    model = copy.deepcopy(model).eval()
    found, counts, handles = {}, {}, []

    def hook(name):
        def keep(module, inputs, output):
            counts[name] = counts.get(name, 0) + 1
            call = name if counts[name] == 1 else f"{name}_{counts[name]}"
            output = output[0] if isinstance(output, tuple) else output
            if output.shape[0] != N:
                output = output.transpose(0, 1)
            found[call] = output.detach().float().clone().reshape(N, -1)

        return keep

    for name, module in model.named_modules():
        if name in names:
            handles.append(module.register_forward_hook(hook(name)))
    with torch.no_grad():
        model(*(x if isinstance(x, tuple) else (x,)))
    return found


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_tables_are_those_of_activations_captured_by_hand(name):
    make, inputs, expected = ARCHITECTURES[name]
    torch.manual_seed(0)
    model, x, y = make(), inputs(), torch.arange(N) % 3

    watched = watch(model, data=(x, y), estimators="binning=0.3", batch_size=N)
    watched.step()

    assert watched.layers["name"].tolist() == expected
    captured = by_hand(model, x, expected)
    estimator = binning.load(0.3)
    for row in watched.table.itertuples():
        information = estimator.estimate(captured[row.name][None], y.numpy())
        assert (*information.mi_xm, *information.mi_ym) == (row.MI_XM, row.MI_YM)


def test_batches_make_no_difference():
    model, x = mlp(), vectors()
    whole, parts = (watch(model, data=x, estimators="binning=0.3", batch_size=b) for b in (N, 7))

    whole.step()
    parts.step()

    np.testing.assert_allclose(whole.table["MI_XM"], parts.table["MI_XM"], atol=0.05)
    assert len(whole.table) == len(parts.table) == 2


def test_a_compiled_network_is_watched_as_it_was_written():
    model, x = mlp(), vectors()
    compiled = torch.compile(model, backend="eager")
    plain, of_compiled = watch(model, data=x), watch(compiled, data=x)
    compiled(x)

    plain.step()
    of_compiled.step()

    assert of_compiled.table.equals(plain.table)


def test_parts_that_were_compiled_keep_their_names():
    x = vectors()
    model = nn.Sequential(torch.compile(nn.Linear(4, 3), backend="eager"), nn.Linear(3, 2))
    model(x)
    watched = watch(model, data=x)

    watched.step()

    assert watched.layers["name"].tolist() == ["0", "1"]


def test_data_parallel_networks_are_watched_without_their_wrapper():
    watched = watch(nn.DataParallel(mlp()), data=vectors())

    assert watched.layers["name"].tolist() == ["0", "3"]


def test_a_layer_that_some_examples_skip_is_named(caplog):
    watch(Experts(), data=vectors())

    assert "Not measured: expert " in caplog.text
    with pytest.raises(ConfigError, match=r"^expert .* which example$"):
        watch(Experts(), data=vectors(), layers="expert")


def test_positions_that_are_the_same_for_all_examples_are_no_layer(caplog):
    watch(GPT(), data=torch.randint(7, (N, 5)))

    assert "wpe gives (5, 8) and, for one example fewer, (5, 8): it cannot be told" in caplog.text


def test_the_neurons_of_each_layer_are_known():
    layers = watch(Residual(), data=torch.randn(N, 3, 4, 4)).layers

    assert layers["shape"].tolist() == [(3, 4, 4), (3, 4, 4), (2,)]
    assert layers["neuron_axis"].tolist() == [-3, -3, -1]
    assert layers["n_units"].tolist() == [48, 48, 2]


def test_what_follows_an_activation_is_taken_behind_it():
    model = nn.Sequential(
        nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Dropout(), nn.Linear(3, 2)
    )

    watched = watch(model, data=vectors(), activations=True)

    assert watched.layers["name"].tolist() == ["2", "4"]


def test_a_network_without_modules_is_one_layer():
    class Raw(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, 3))

        def forward(self, x):
            return relu(x @ self.weight)

    assert watch(Raw(), data=vectors()).layers["name"].tolist() == ["Raw"]
