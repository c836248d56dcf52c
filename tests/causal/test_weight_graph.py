import math

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from deep_bottleneck.causal.connections import connections_of, parts_of
from deep_bottleneck.causal.weight_graph import (
    H,
    degeneracy,
    determinism,
    ei,
    get_shapes,
    lin_norm,
    sig_norm,
    soft_norm,
)


def dense(weight):
    layer = nn.Linear(*weight.T.shape, bias=False)
    layer.weight.data = weight
    return layer


def test_entropy():
    assert H(torch.tensor([0.0, 1.0, 0.0])) == 0
    assert H(torch.zeros(4)) == 0
    assert H(torch.full((256,), 1 / 256)) == 8
    assert H(torch.full((4, 2), 1 / 4), dim=0).tolist() == [2, 2]
    assert H(torch.full((2, 4), 1 / 4), dim=1).tolist() == [2, 2]


def test_norms():
    weight = torch.tensor([[1.0, -2.0, 3.0], [-1.0, 0.0, -1.0]])

    assert lin_norm(weight).tolist() == [[0.25, 0, 0.75], [0, 0, 0]]
    assert torch.allclose(soft_norm(weight), weight.exp() / weight.exp().sum(1, keepdim=True))
    expected = torch.sigmoid(weight) / torch.sigmoid(weight).sum(1, keepdim=True)
    assert torch.allclose(sig_norm(weight), expected)


@pytest.mark.parametrize("n", [2, 7, 16])
def test_identity_has_all_and_uniform_has_none(n):
    given = torch.zeros(1, n)

    assert ei(dense(torch.eye(n)), given) == pytest.approx(math.log2(n))
    assert determinism(dense(torch.eye(n)), given) == 0
    assert ei(dense(torch.ones(n, n)), given) == pytest.approx(0, abs=1e-9)
    assert determinism(dense(torch.ones(n, n)), given) == pytest.approx(math.log2(n))
    assert degeneracy(dense(torch.ones(n, n)), given) == pytest.approx(math.log2(n))


def matrix_of(layer, in_shape):
    """A row for each input, by putting 1 at each in turn."""
    n_inputs = math.prod(in_shape[1:])
    units = torch.eye(n_inputs).view(n_inputs, *in_shape[1:])
    with torch.no_grad():
        return (layer(units) - layer(torch.zeros(in_shape))).flatten(1).double()


def by_matrices(shapes, norm):
    """The definitions, with the whole matrix of each layer."""
    entropies, arriving = [], []
    for layer, (in_shape, _) in shapes.items():
        matrix = norm(matrix_of(layer, in_shape))
        terms = torch.where(matrix > 0, matrix * matrix.log2(), 0.0)
        entropies.append(-terms.sum(dim=1))
        arriving.append(matrix.sum(dim=0))
    share = torch.cat(arriving)
    share = share / share.sum()
    of_mean = -torch.where(share > 0, share * share.log2(), 0.0).sum()
    return float(torch.cat(entropies).mean()), float(of_mean)


NETWORKS = [
    (nn.Linear(5, 4), (1, 5)),
    (nn.Conv2d(2, 3, 3), (1, 2, 6, 5)),
    (nn.Conv2d(2, 4, 3, padding=1, stride=2, groups=2), (1, 2, 7, 8)),
    (nn.Conv2d(1, 2, (3, 2), padding="same", dilation=2), (1, 1, 6, 6)),
    (nn.Conv1d(2, 2, 3, padding=2), (1, 2, 6)),
    (nn.Conv3d(1, 2, 2), (1, 1, 3, 3, 3)),
    (nn.AvgPool2d(2), (1, 2, 5, 5)),
    (nn.AvgPool2d(3, stride=2, padding=1), (1, 2, 6, 6)),
    (nn.AvgPool2d(2, ceil_mode=True), (1, 1, 5, 5)),
    (nn.AvgPool2d(3, 2, 1, count_include_pad=False), (1, 2, 5, 6)),
    (nn.AvgPool2d(3, 2, 1, ceil_mode=True), (1, 1, 6, 6)),
    (nn.AvgPool2d(2, divisor_override=3), (1, 1, 4, 4)),
    (nn.AvgPool1d(3, stride=2, padding=1, ceil_mode=True, count_include_pad=False), (1, 1, 6)),
    (nn.ConvTranspose1d(2, 3, 4, stride=2, padding=1, output_padding=1), (1, 2, 5)),
    (nn.ConvTranspose2d(2, 4, (3, 2), stride=3, groups=2, dilation=2), (1, 2, 3, 3)),
    (weight_norm(nn.Linear(4, 3)), (1, 4)),
    (
        nn.Sequential(
            nn.Conv2d(1, 3, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(12, 4)
        ),
        (1, 1, 6, 6),
    ),
]


@pytest.mark.parametrize("network, shape", NETWORKS)
@pytest.mark.parametrize("norm", [lin_norm, soft_norm, sig_norm])
def test_without_matrices_as_with_them(network, shape, norm):
    shapes = get_shapes(network, torch.zeros(shape))

    expected_determinism, expected_degeneracy = by_matrices(shapes, norm)

    found = (
        determinism(network, shapes=shapes, norm=norm),
        degeneracy(network, torch.zeros(shape), norm=norm),
    )
    assert found == pytest.approx((expected_determinism, expected_degeneracy), abs=1e-5)
    assert ei(network, shapes=shapes, norm=norm) == pytest.approx(found[1] - found[0])
    of_own = determinism(network, shapes=shapes, norm=lambda matrix: norm(matrix))
    assert of_own == pytest.approx(found[0])


@pytest.mark.parametrize("network, shape", [pair for pair in NETWORKS if len(pair[1]) < 5])
def test_no_norm_takes_the_weights_that_the_layers_have(network, shape):
    shapes = get_shapes(network, torch.zeros(shape))

    for layer, (in_shape, out_shape) in shapes.items():
        found = connections_of(layer, in_shape, out_shape).matrix()
        assert torch.allclose(found, matrix_of(layer, in_shape), atol=1e-6)


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(9, 4)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.recurrent = nn.LSTM(4, 6, num_layers=2, bidirectional=True, batch_first=True)
        self.cell = nn.GRUCell(12, 3)
        self.norm = nn.LayerNorm(3)
        self.last = nn.Linear(3, 9)

    def forward(self, x):
        words = self.words(x)
        mixed, _ = self.attention(words, words, words)
        return self.last(self.norm(self.cell(self.recurrent(mixed)[0][:, -1])))


def test_words_attention_and_recurrence_have_connections():
    model = Words()

    shapes = get_shapes(model, torch.zeros(2, 5, dtype=torch.long))

    attention = model.attention
    assert list(shapes) == [
        model.words, attention, attention.out_proj, model.recurrent, model.cell, model.last,
    ]  # fmt: skip
    parts = {layer: parts_of(layer, *shapes[layer]) for layer in shapes}
    assert torch.equal(parts[model.words][0].matrix(), model.words.weight.double())
    projections = torch.cat([part.matrix() for part in parts[attention]], dim=1)
    assert torch.equal(projections.T, attention.in_proj_weight.double())
    recurrent = [part.matrix().shape for part in parts[model.recurrent]]
    assert recurrent == [(4 + 6, 24), (4 + 6, 24), (12 + 6, 24), (12 + 6, 24)]
    cell = torch.cat([model.cell.weight_ih, model.cell.weight_hh], dim=1)
    assert torch.equal(parts[model.cell][0].matrix().T, cell.double())
    matrices = {id(part): part.matrix() for layer in parts for part in parts[layer]}
    entropies = [H(lin_norm(matrix), dim=1) for matrix in matrices.values()]
    assert determinism(model, shapes=shapes) == pytest.approx(float(torch.cat(entropies).mean()))


def test_a_transformer_block_has_its_projections_although_it_has_a_fast_path():
    block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()

    shapes = get_shapes(block, torch.zeros(1, 3, 8))

    assert set(shapes) == {
        block.self_attn, block.self_attn.out_proj, block.linear1, block.linear2,
    }  # fmt: skip
    assert shapes[block.linear1] == ((1, 3, 8), (1, 3, 16))


def test_layers_that_are_left_out_are_named():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.matrix = nn.Parameter(torch.ones(3, 2))

        def forward(self, x):
            return x @ self.matrix

    network = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.PReLU(), Own())

    with pytest.warns(UserWarning, match=r"^left out of the weight graph: 3 \(Own\)$"):
        assert list(get_shapes(network, torch.zeros(1, 3))) == [network[0]]


def test_more_than_one_set_of_connections_is_no_single_one():
    attention = nn.MultiheadAttention(4, 2)

    with pytest.raises(TypeError, match=r"has 3 sets of connections: see parts_of"):
        connections_of(attention, (1, 1, 4), (1, 1, 4))


def test_rounding_up_a_pool_uses_the_cut_off_windows():
    pool = nn.AvgPool2d(2, ceil_mode=True)

    assert determinism(pool, torch.zeros(1, 1, 3, 3)) == 0
    assert degeneracy(pool, torch.zeros(1, 1, 3, 3)) == pytest.approx(
        -(4 / 9 * math.log2(4 / 9) + 4 / 9 * math.log2(2 / 9) + 1 / 9 * math.log2(1 / 9))
    )


def test_matrix_of_a_small_convolution():
    layer = nn.Conv2d(1, 1, 2, stride=2, bias=False)
    layer.weight.data = torch.ones(1, 1, 2, 2)

    matrix = connections_of(layer, (1, 1, 2, 4), (1, 1, 1, 2)).matrix()

    assert matrix.T.tolist() == [[1, 1, 0, 0, 1, 1, 0, 0], [0, 0, 1, 1, 0, 0, 1, 1]]


def test_shapes_and_the_state_of_the_network():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(32, 5))

    shapes = get_shapes(network, torch.zeros(1, 1, 6, 6))

    assert shapes == {
        network[0]: ((1, 1, 6, 6), (1, 2, 4, 4)),
        network[3]: ((1, 32), (1, 5)),
    }
    assert network[1].num_batches_tracked == 0
    assert network.training
    assert not network[0]._forward_hooks


def test_a_part_of_the_shapes_is_a_part_of_the_network():
    network = nn.Sequential(dense(torch.eye(4)), dense(torch.ones(4, 4)))
    shapes = get_shapes(network, torch.zeros(1, 4))

    assert ei(network, shapes={network[0]: shapes[network[0]]}) == pytest.approx(2)
    assert ei(network, shapes={network[1]: shapes[network[1]]}) == pytest.approx(0, abs=1e-9)


def test_units_without_weight_do_not_count_as_infinite():
    layer = dense(-torch.ones(3, 3))

    assert ei(layer, torch.zeros(1, 3)) == 0


def test_no_norm_takes_the_weights_as_they_are():
    weight = torch.tensor([[0.5, 0.25], [0.5, 0.75]])

    assert determinism(dense(weight), torch.zeros(1, 2), norm=None) == pytest.approx(
        (1 - 0.25 * math.log2(0.25) - 0.75 * math.log2(0.75)) / 2
    )


def test_bad_input():
    layer = nn.Linear(3, 2)
    with pytest.raises(ValueError, match="pass either an input to the network, or the shapes"):
        ei(layer)
    with pytest.raises(ValueError, match="no layer with connections"):
        ei(nn.ReLU(), torch.zeros(1, 3))
    with pytest.raises(TypeError, match=r"expected a torch.nn.Module or a Keras model, got str"):
        get_shapes("network", torch.zeros(1))
    with pytest.raises(
        TypeError, match=r"ReLU\(\) has no weight graph; modules that have are: Lin"
    ):
        ei(layer, shapes={nn.ReLU(): ((1, 3), (1, 3))})
    with pytest.raises(ValueError, match=r"does not lead from shape \(1, 4\) to \(1, 2\)"):
        ei(layer, shapes={layer: ((1, 4), (1, 2))})
    with pytest.raises(ValueError, match=r"pads with values that are not zero"):
        ei(nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"), torch.zeros(1, 1, 4, 4))
    with pytest.raises(ValueError, match="needs a layer's whole matrix, and 16384 x 16384 is too"):
        ei(nn.AvgPool2d(1), torch.zeros(1, 1, 128, 128), norm=lambda matrix: matrix)
