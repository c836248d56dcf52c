"""What scripts written for torch-foresight rely on, held to brute force.

Every public function with every argument that it has there, by name and in its place.
"""

import math

import pytest
import torch
from torch import nn

from deep_bottleneck.causal.weight_graph import (
    H,
    avgpool2d_create_matrix,
    conv2d_create_matrix,
    degeneracy,
    determinism,
    ei,
    get_shapes,
    lin_norm,
    linear_create_matrix,
    sig_norm,
    soft_norm,
)

NETWORK = nn.Sequential(
    nn.Conv2d(2, 3, (2, 3), stride=(1, 2), padding=(1, 0)), nn.ReLU(), nn.AvgPool2d(2),
    nn.Flatten(), nn.Linear(12, 4), nn.Softmax(dim=1),
)  # fmt: skip
GIVEN = torch.zeros(1, 2, 3, 9)
NORMS = {"lin": lin_norm, "soft": soft_norm, "sig": sig_norm, "none": None}


def matrix_of(layer, in_shape):
    """What each output gets from each input, by putting 1 at one input after the other."""
    n_inputs = math.prod(in_shape[1:])
    units = torch.eye(n_inputs).view(n_inputs, *in_shape[1:])
    with torch.no_grad():
        return (layer(units) - layer(torch.zeros(in_shape))).flatten(1).double()


def entropy(probabilities):
    return -sum(p * math.log2(p) for p in probabilities if p > 0)


def normalised(row, norm):
    if norm == "none":
        return row
    made = {
        "lin": [max(w, 0.0) for w in row],
        "soft": [math.exp(w) for w in row],
        "sig": [1 / (1 + math.exp(-w)) for w in row],
    }[norm]
    return [w / (sum(made) or 1.0) for w in made]


def by_hand(norm, layers=(0, 2, 4)):
    """Determinism and degeneracy, unit by unit."""
    shapes = get_shapes(NETWORK, GIVEN)
    entropies, arriving = [], []
    for layer in (NETWORK[index] for index in layers):
        rows = [normalised(row, norm) for row in matrix_of(layer, shapes[layer][0]).tolist()]
        entropies += [entropy(row) for row in rows]
        arriving += [sum(column) for column in zip(*rows, strict=True)]
    return sum(entropies) / len(entropies), entropy([w / sum(arriving) for w in arriving])


@pytest.fixture(autouse=True)
def _positive_without_a_norm():
    torch.manual_seed(1)
    for layer in (NETWORK[0], NETWORK[4]):
        nn.init.uniform_(layer.weight, -0.5, 1.0)


@pytest.mark.parametrize("norm", NORMS)
def test_the_measures(norm):
    shapes = get_shapes(NETWORK, GIVEN)
    expected = by_hand(norm)

    for options in ({"input": GIVEN}, {"shapes": shapes}, {"shapes": shapes, "device": "cpu"}):
        found = [
            measure(NETWORK, norm=NORMS[norm], **options) for measure in (determinism, degeneracy)
        ]
        assert found == pytest.approx(expected, abs=1e-5)
        assert ei(NETWORK, norm=NORMS[norm], **options) == pytest.approx(
            expected[1] - expected[0], abs=1e-5
        )
    assert ei(NETWORK, GIVEN, None, NORMS[norm], "cpu") == pytest.approx(found[1] - found[0])


def test_a_part_of_the_shapes_is_a_part_of_the_network():
    shapes = {NETWORK[4]: get_shapes(NETWORK, GIVEN)[NETWORK[4]]}

    found = determinism(NETWORK, None, shapes), degeneracy(NETWORK, None, shapes)

    assert found == pytest.approx(by_hand("lin", layers=[4]), abs=1e-5)


def test_shapes_are_those_of_the_layers_with_connections():
    assert get_shapes(NETWORK, GIVEN) == {
        NETWORK[0]: ((1, 2, 3, 9), (1, 3, 4, 4)),
        NETWORK[2]: ((1, 3, 4, 4), (1, 3, 2, 2)),
        NETWORK[4]: ((1, 12), (1, 4)),
    }


@pytest.mark.parametrize("measure", [ei, determinism, degeneracy])
def test_neither_an_input_nor_shapes_is_an_error(measure):
    with pytest.raises(ValueError, match="pass either an input to the network, or the shapes"):
        measure(NETWORK)


@pytest.mark.parametrize("dim", [0, 1])
def test_entropy_along_an_axis(dim):
    values = torch.tensor([[0.5, 0.0, 0.25], [0.5, 1.0, 0.75]])
    lists = values.T.tolist() if dim == 0 else values.tolist()

    assert H(values, dim).tolist() == pytest.approx([entropy(each) for each in lists])
    assert H(values).tolist() == H(values, dim=0).tolist()


@pytest.mark.parametrize("norm", ["lin", "soft", "sig"])
def test_norms_of_a_matrix(norm):
    weight = torch.tensor([[1.0, -2.0, 3.0], [-1.0, 0.0, -1.0]])

    found = NORMS[norm](weight)

    expected = [normalised(row, norm) for row in weight.tolist()]
    assert found.tolist() == [pytest.approx(row) for row in expected]


# What is otherwise here, on purpose: docs/differences.md


def test_a_pool_averages_within_a_channel_there_over_all_of_them():
    pool, given = nn.AvgPool2d(2), torch.zeros(1, 3, 4, 4)

    assert determinism(pool, given) == 0  # each input leads to one output, there to three
    assert ei(pool, given) == pytest.approx(math.log2(12))


def test_a_dilated_convolution_reaches_as_far_as_it_does_there_as_if_it_were_not_dilated():
    layer, given = nn.Conv1d(1, 1, 2, dilation=2, bias=False), torch.zeros(1, 1, 4)
    layer.weight.data = torch.tensor([[[1.0, 1.0]]])

    # outputs 0 and 1 see inputs 0, 2 and 1, 3; undilated, an input between would lead to both
    assert determinism(layer, given) == 0
    assert ei(layer, given) == pytest.approx(1)


@pytest.mark.parametrize(
    ("index", "create_matrix"),
    [(0, conv2d_create_matrix), (2, avgpool2d_create_matrix), (4, linear_create_matrix)],
)
def test_the_matrix_of_a_layer(index, create_matrix):
    layer = NETWORK[index]
    in_shape, out_shape = get_shapes(NETWORK, GIVEN)[layer]

    matrix = create_matrix(layer, in_shape, out_shape)

    torch.testing.assert_close(matrix, matrix_of(layer, in_shape), rtol=1e-6, atol=1e-7)
    assert not matrix.requires_grad
