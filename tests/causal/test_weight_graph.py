import math

import pytest
import torch
from torch import nn

from deep_bottleneck.causal.connections import connections_of
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
