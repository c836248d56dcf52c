import numpy as np
import pytest
import torch
from torch import nn

from deep_bottleneck.causal import (
    causal_plane,
    channel_of,
    degeneracy,
    determinism,
    ei,
    ei_parts,
    measures_of,
    sensitivity,
    topology_of,
)
from deep_bottleneck.errors import OutOfRangeWarning

OPTIONS = {"in_range": (0, 1), "out_range": (0, 1), "in_bins": 8, "out_bins": 8}


def layer_of(weight):
    layer = nn.Linear(*reversed(weight.shape), bias=False)
    layer.weight.data = weight
    return layer, topology_of(layer, torch.zeros(1, weight.shape[1]))


def test_a_permutation_is_deterministic_and_not_degenerate():
    layer, topology = layer_of(torch.eye(3).flip(0))

    plane = causal_plane(layer, topology, 20_000, **OPTIONS)

    assert plane.sensitivity == pytest.approx(9.0, abs=0.05)
    assert plane.ei_parts == pytest.approx(9.0, abs=0.05)
    assert plane.degeneracy == pytest.approx(0.0, abs=0.05)


def test_inputs_of_one_effect_are_degenerate():
    layer, topology = layer_of(torch.full((2, 4), 0.25))

    plane = causal_plane(layer, topology, 20_000, **OPTIONS)

    assert plane.sensitivity == pytest.approx(8 * 1.0, abs=0.05)  # each moves outputs over two bins
    assert 0 < plane.ei_parts < plane.sensitivity / 2
    assert plane.degeneracy == pytest.approx(plane.sensitivity - plane.ei_parts)


def test_the_plane_is_made_of_the_measures():
    layer, topology = layer_of(torch.rand(3, 2) / 2)
    options = {**OPTIONS, "seed": 3, "correction": None}

    plane = causal_plane(layer, topology, 5_000, **options)

    assert plane.ei_parts == pytest.approx(ei_parts(layer, topology, samples=5_000, **options))
    options["seed"] = 4
    assert plane.sensitivity == pytest.approx(
        sensitivity(layer, topology, samples=5_000, **options)
    )
    options["seed"] = 3
    assert plane.degeneracy == pytest.approx(degeneracy(layer, topology, 5_000, **options))


def test_errors_of_the_plane():
    layer, topology = layer_of(torch.rand(3, 2) / 2)

    found = [causal_plane(layer, topology, 2_000, return_error=True, **OPTIONS) for _ in range(16)]

    values = np.array([value for value, _ in found])
    errors = np.array([error for _, error in found])
    assert errors[:, 0].mean() == pytest.approx(values[:, 0].std(ddof=1), rel=0.6)
    assert errors[:, 2].mean() == pytest.approx(values[:, 2].std(ddof=1), rel=0.6)


@pytest.mark.parametrize("correction", [None, "shuffle"])
def test_information_is_determinism_less_the_redundancy_of_effects(correction):
    layer, topology = layer_of(torch.rand(3, 2) / 2)
    options = {**OPTIONS, "seed": 3, "correction": correction}

    found = determinism(layer, topology, 5_000, **options) - degeneracy(
        layer, topology, 5_000, compared_with="uniform", **options
    )

    assert found == pytest.approx(ei_parts(layer, topology, samples=5_000, **options))


def test_a_copy_is_fully_determined_and_its_effects_are_uniform():
    layer, topology = layer_of(torch.ones(1, 1))

    assert determinism(layer, topology, **OPTIONS) == pytest.approx(3.0, abs=0.01)
    assert degeneracy(layer, topology, compared_with="uniform", **OPTIONS) == pytest.approx(
        0.0, abs=0.01
    )


def test_runs_that_share_a_channel_are_measured_as_if_alone():
    layers = [nn.Linear(4, 3) for _ in range(3)]
    topology = topology_of(nn.Sequential(layers[0], nn.Tanh()), torch.zeros(1, 4))
    options = {"in_range": (-1, 1), "in_bins": 4, "out_bins": 8}

    together = measures_of(
        channel_of(layers[0], topology, replicas=layers[1:], **options), 3_000, seed=1
    )

    for index, layer in enumerate(layers):
        own = topology_of(nn.Sequential(layer, nn.Tanh()), torch.zeros(1, 4))
        alone = measures_of(channel_of(layer, own, **options), 3_000, seed=1)
        for name, values in together.items():
            assert float(values[index]) == pytest.approx(float(alone[name]), abs=2e-3), name


def test_all_measures_at_once():
    layer, topology = layer_of(torch.rand(3, 2) / 2)
    channel = channel_of(layer, topology, **OPTIONS)

    found = measures_of(channel, 5_000, seed=3, correction=None, vector_correction=None)

    options = {**OPTIONS, "seed": 3}
    assert float(found["ei"]) == pytest.approx(ei(layer, topology, samples=5_000, **options))
    assert float(found["ei_parts"]) == pytest.approx(
        ei_parts(layer, topology, samples=5_000, **options)
    )
    assert float(found["determinism"]) == pytest.approx(
        determinism(layer, topology, 5_000, correction=None, **options)
    )
    assert float(found["degeneracy"]) == pytest.approx(
        float(found["sensitivity"] - found["ei_parts"])
    )


def test_replicas_of_convolutions():
    layers = [nn.Conv2d(1, 2, 3, padding=1) for _ in range(2)]
    topology = topology_of(layers[0], torch.zeros(1, 1, 6, 6))
    channel = channel_of(layers[0], topology, replicas=layers[1:], in_bins=4, out_bins=4)

    assert channel.in_shape == (1, 3, 3)
    assert channel(torch.zeros(5, 9)).shape == (2, 5, 2)


def test_replicas_are_for_single_layers():
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    topology = topology_of(network, torch.zeros(1, 2))

    with pytest.raises(ValueError, match="replicas are for a single layer"):
        channel_of(network[1], topology, in_layer=network[0], replicas=[nn.Linear(2, 2)])


def test_clipping_to_a_range_that_floats_do_not_hit_leaves_nothing_outside():
    layer, topology = layer_of(torch.full((2, 2), 5.0))
    limits = (-0.1, 0.1)  # as float32, both lie outside

    with pytest.warns(OutOfRangeWarning, match="counted in the outermost bins"):
        clipped = measures_of(
            channel_of(layer, topology, **{**OPTIONS, "out_range": limits}, outside="clip"), 500
        )

    assert all(bool(values.isfinite().all()) for values in clipped.values())
    assert float(clipped["ei"]) < 1  # nearly all outputs are in the highest bin
