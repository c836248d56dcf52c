import math
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from deep_bottleneck.causal import (
    Channel,
    channel_of,
    ei_parts,
    ei_parts_matrix,
    measures_of,
    sensitivity,
    topology_of,
)
from deep_bottleneck.causal.network.modules import Projection
from deep_bottleneck.errors import EstimationError

OPTIONS = {"samples": 1_000, "in_range": (-1, 1), "out_range": (-3, 3), "in_bins": 8, "out_bins": 8}


@pytest.mark.parametrize("measure", [ei_parts, sensitivity])
@pytest.mark.parametrize("tokens", [(), (1,), (10,), (3, 4)])
def test_a_linear_layer_is_measured_on_one_token(measure, tokens):
    layer = nn.Linear(4, 3)

    one, found = (
        measure(layer, topology_of(layer, torch.zeros(1, *shape, 4)), seed=0, **OPTIONS)
        for shape in ((), tokens)
    )

    assert one == found


def test_an_input_without_a_batch_is_one_token():
    network = nn.Sequential(nn.Linear(4, 3), nn.Softmax(0), nn.Linear(3, 2))
    topology = topology_of(network, torch.zeros(4))
    noise = torch.rand(5, 4)

    assert torch.allclose(channel_of(network[0], topology)(noise)[0], network[:1](noise).softmax(1))
    assert channel_of(network[2], topology).in_shape == (3,)


def test_a_stretch_of_layers_on_tokens_is_measured_on_one():
    network = nn.Sequential(
        nn.LayerNorm(4), nn.Linear(4, 6), nn.GELU(), nn.Dropout(), nn.Linear(6, 2), nn.Softmax(-1)
    ).eval()
    channel = channel_of(
        network[4], topology_of(network, torch.zeros(1, 7, 4)), in_layer=network[0]
    )
    noise = torch.rand(5, 4)

    assert channel.in_shape == (4,)
    assert torch.allclose(channel(noise)[0], network(noise))


def test_tokens_that_are_joined_are_measured_together():
    network = nn.Sequential(nn.Linear(2, 3), nn.Flatten(), nn.Linear(12, 5))
    topology = topology_of(network, torch.zeros(1, 4, 2))

    channel = channel_of(network[2], topology, in_layer=network[0])

    noise = torch.rand(6, 4, 2)
    assert channel.in_shape == (4, 2)
    assert torch.allclose(channel(noise.flatten(1))[0], network(noise))


@pytest.mark.parametrize(
    "layer, shape, n_inputs",
    [
        (nn.LayerNorm(3), (1, 5, 3), 3),
        (nn.RMSNorm(3), (1, 5, 3), 3),
        (nn.LayerNorm((2, 3)), (1, 2, 3), 6),
        (nn.GroupNorm(2, 4), (1, 4, 3), 12),
        (nn.InstanceNorm1d(4), (1, 4, 3), 12),
    ],
)
def test_normalisation_of_an_example_is_what_the_module_does(layer, shape, n_inputs):
    channel = channel_of(layer, topology_of(layer, torch.zeros(shape)))
    noise = torch.rand(6, n_inputs)

    expected = layer(noise.view(6, *shape[1:]) if n_inputs > 3 else noise)

    assert channel.n_inputs == n_inputs
    assert not channel.is_affine
    assert torch.allclose(channel(noise)[0], expected.flatten(1), atol=1e-6)


@pytest.mark.parametrize(
    "layer",
    [
        nn.ConvTranspose1d(2, 3, 4),
        nn.ConvTranspose1d(2, 3, 5, stride=2, padding=1, output_padding=1),
        nn.ConvTranspose1d(2, 4, 2, stride=3, groups=2),
        nn.ConvTranspose1d(2, 3, 3, dilation=2, stride=2, padding=2),
    ],
)
def test_a_transposed_convolution_is_measured_on_what_one_period_of_outputs_depends_on(layer):
    channel = channel_of(layer, topology_of(layer, torch.zeros(1, 2, 9)))
    width = channel.in_shape[1]
    signal = torch.rand(1, 2, 20)
    period, (stride,) = layer.stride[0], layer.stride
    whole = layer(signal)

    found = channel(signal[:, :, 8 : 8 + width].flatten(1)).view(layer.out_channels, -1)

    start = (8 + width - 1) * stride - layer.padding[0]
    assert torch.allclose(found, whole[0, :, start : start + found.shape[1]], atol=1e-6)
    assert found.shape[1] == min(period, layer.dilation[0] * (layer.kernel_size[0] - 1) + 1)
    assert channel.is_affine


def test_a_transposed_convolution_of_images_and_its_replicas():
    layers = [nn.ConvTranspose2d(1, 2, 3, stride=2) for _ in range(2)]
    topology = topology_of(layers[0], torch.zeros(1, 1, 4, 4))

    channel = channel_of(layers[0], topology, replicas=layers[1:])

    assert channel.in_shape == (1, 2, 2)
    assert channel(torch.rand(3, 4)).shape == (2, 3, 8)


def test_an_embedding_whose_words_all_differ_keeps_every_word():
    layer = nn.Embedding(8, 2)
    layer.weight.data = torch.stack([torch.arange(8.0), -torch.arange(8.0)], dim=1)
    topology = topology_of(layer, torch.zeros(1, 5, dtype=torch.long))

    matrix = ei_parts_matrix(layer, topology, samples=20_000, in_range=(0, 8), in_bins=8)

    assert channel_of(layer, topology).in_range == (0, 8)
    assert matrix == pytest.approx(math.log2(8), abs=0.01)


def test_a_bilinear_layer_has_both_inputs():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Bilinear(2, 3, 4)

        def forward(self, x, y):
            return self.layer(x, y).tanh()

    model = Both()
    topology = topology_of(model, (torch.zeros(1, 2), torch.zeros(1, 3)))
    noise = torch.rand(5, 5)

    found = channel_of(model.layer, topology)(noise)[0]

    assert torch.allclose(found, model(noise[:, :2], noise[:, 2:]))


@pytest.mark.parametrize("kind", [nn.RNNCell, nn.GRUCell, nn.LSTMCell])
def test_a_recurrent_cell_goes_from_example_and_state_to_state(kind):
    cell = kind(2, 3)
    channel = channel_of(cell, topology_of(cell, torch.zeros(1, 2)))
    n_states = 2 if kind is nn.LSTMCell else 1
    noise = torch.rand(5, 2 + 3 * n_states)
    states = noise[:, 2:].chunk(n_states, dim=1)

    expected = cell(noise[:, :2], states if n_states == 2 else states[0])

    expected = torch.cat(expected, dim=1) if n_states == 2 else expected
    assert channel.in_shape == (noise.shape[1],)
    assert torch.allclose(channel(noise)[0], expected, atol=1e-6)
    assert channel.out_range == ((-1, 1) if kind is nn.RNNCell else (-10, 10))


def test_what_is_measured_by_itself_is_no_part_of_a_stretch():
    network = nn.Sequential(nn.Embedding(4, 3), nn.Linear(3, 2))
    topology = topology_of(network, torch.zeros(1, dtype=torch.long))

    with pytest.raises(TypeError, match=r"Embedding\(4, 3\) is measured by itself"):
        ei_parts(network[1], topology, in_layer=network[0])


@pytest.mark.parametrize("same", [True, False])
def test_the_projections_of_attention_are_layers(same):
    attention = nn.MultiheadAttention(4, 2, **({} if same else {"kdim": 3, "vdim": 5}))
    query, key, value = (torch.rand(6, 1, n) for n in ((4, 4, 4) if same else (4, 3, 5)))

    topology = topology_of(attention, (query, key, value))

    parts = [Projection(attention, part) for part in ("query", "key", "value")]
    assert set(topology.edges) == {(part, attention.out_proj) for part in parts}
    inside, noise = attention.in_proj_bias.chunk(3), torch.rand(7, 5)
    weights = attention.in_proj_weight.chunk(3) if same else [
        attention.q_proj_weight, attention.k_proj_weight, attention.v_proj_weight]  # fmt: skip
    for part, weight, bias in zip(parts, weights, inside, strict=True):
        given = noise[:, : weight.shape[1]]
        found = channel_of(part, topology)(given)[0]
        assert torch.allclose(found, given @ weight.T + bias, atol=1e-6)
    assert channel_of(attention.out_proj, topology).in_shape == (4,)


def test_a_transformer_block_is_followed_through_its_attention():
    block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()

    topology = topology_of(block, torch.zeros(1, 3, 8))

    attention = block.self_attn
    value = Projection(attention, "value")
    chain = [value, attention.out_proj, block.dropout1, block.norm1, block.linear1]
    assert all(topology.has_edge(*pair) for pair in pairwise(chain))
    assert isinstance(topology.nodes[block.linear1]["output"]["activation"], nn.ReLU)
    weighted = [value, attention.out_proj, block.norm1, block.linear1, block.norm2]
    assert {channel_of(node, topology).in_shape for node in weighted} == {(8,)}


@pytest.mark.parametrize(
    "kind",
    [parametrizations.weight_norm, parametrizations.spectral_norm, parametrizations.orthogonal],
)
def test_a_parametrised_layer_is_the_layer_with_its_computed_weights(kind):
    network = nn.Sequential(kind(nn.Linear(4, 4)), nn.Tanh(), nn.Linear(4, 2)).eval()
    plain = nn.Linear(4, 4)
    plain.weight.data, plain.bias.data = network[0].weight.detach(), network[0].bias.detach()

    topology = topology_of(network, torch.zeros(1, 4))

    assert list(topology.edges) == [(network[0], network[2])]
    assert isinstance(topology.nodes[network[0]]["output"]["activation"], nn.Tanh)
    assert ei_parts(network[0], topology, seed=0, **OPTIONS) == pytest.approx(
        ei_parts(plain, topology_of(plain, torch.zeros(1, 4)), seed=0, activation=nn.Tanh(),
                 **OPTIONS)
    )  # fmt: skip


def test_spectral_normalisation_in_training_mode_is_refused_and_left_alone():
    layer = parametrizations.spectral_norm(nn.Linear(3, 3))
    topology = topology_of(layer, torch.zeros(1, 3))
    before = [buffer.clone() for buffer in layer.buffers()]

    with pytest.raises(EstimationError, match=r"(?s)ParametrizedLinear.*training mode.*call eval"):
        ei_parts(layer, topology)

    assert parametrize.is_parametrized(layer)
    assert all(map(torch.equal, before, layer.buffers()))


@pytest.mark.parametrize("measure", [ei_parts, sensitivity])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_loses_no_bins(measure, dtype):
    layer = nn.Linear(1, 1, bias=False).to(dtype)
    nn.init.ones_(layer.weight)
    network = nn.Sequential(layer, nn.PReLU().to(dtype))
    topology = topology_of(network, torch.zeros(1, 1, dtype=dtype))

    value = measure(layer, topology, samples=200_000, in_range=(0, 1), out_range=(0, 1),
                    in_bins=1024, out_bins=1024)  # fmt: skip

    assert value == pytest.approx(10, abs=0.02)
    assert layer.weight.dtype == dtype


def test_a_channel_of_one_s_own():
    channel = Channel(
        name="the larger",
        function=lambda x: x.amax(dim=1, keepdim=True).unsqueeze(0),
        in_shape=(2,),
        in_range=(0, 1),
        out_range=(0, 1),
        in_bins=2,
        out_bins=2,
    )

    found = measures_of(channel, 50_000, seed=0, correction=None, vector_correction=None)

    # of four equally likely pairs of halves, only one has its larger value in the lower half
    entropy = -(0.25 * math.log2(0.25) + 0.75 * math.log2(0.75))
    assert float(found["ei"]) == pytest.approx(entropy, abs=0.01)
    assert float(found["ei_parts"]) == pytest.approx(2 * (entropy - 0.5), abs=0.01)


def test_noise_in_half_precision_is_refused():
    with pytest.raises(ValueError, match=r"float32 or float64, not in torch.bfloat16"):
        Channel("x", nn.Identity(), (1,), (0, 1), (0, 1), dtype=torch.bfloat16)
