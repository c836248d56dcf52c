"""What scripts written for deep-ei rely on, held to brute force.

Every public function with every argument that it has there, by name and in its place. Brute force
draws noise of its own, so values agree up to that.
"""

import math

import numpy as np
import pytest
import torch
from torch import nn

from deep_bottleneck.causal import (
    MI,
    ei,
    ei_parts,
    ei_parts_matrix,
    eis_between_groups,
    nats_to_bits,
    sensitivity,
    sensitivity_matrix,
    topology_of,
    vector_and_pairwise_ei,
)

SAMPLES = 20_000
# the noise of a sum over six edges
CLOSE = 0.06


@pytest.fixture
def network():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 2), nn.Sigmoid()).eval()


@pytest.fixture
def topology(network):
    return topology_of(network, torch.zeros(1, 3))


def uniform(limits, n):
    return np.random.default_rng(0).uniform(*limits, (SAMPLES, n)).astype(np.float32)


def outputs_of(function, inputs):
    with torch.no_grad():
        return function(torch.from_numpy(inputs)).numpy().astype(np.float64)


def information(counts):
    joint = counts / counts.sum()
    independent = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    seen = joint > 0
    return float(np.sum(joint[seen] * np.log2(joint[seen] / independent[seen])))


def of_edge(x, y, in_range, in_bins, out_range, out_bins):
    limits = (y.min(), y.max()) if out_range == "dynamic" else out_range
    if out_bins == "dynamic":
        # as wide as those of the input, the last one up to its full width
        width = (in_range[1] - in_range[0]) / in_bins
        out_bins = math.floor((limits[1] - limits[0]) / width) + 1
        limits = (limits[0], limits[0] + out_bins * width)
    return information(np.histogram2d(x, y, (in_bins, out_bins), (in_range, limits))[0])


def parts(function, n, in_range, in_bins, out_range, out_bins):
    """The information of each edge, with noise on all inputs."""
    inputs = uniform(in_range, n)
    outputs = outputs_of(function, inputs)
    edge = (in_range, in_bins, out_range, out_bins)
    return np.array([[of_edge(x, y, *edge) for y in outputs.T] for x in inputs.T])


def alone(function, n, in_range, in_bins, out_range, out_bins):
    """The same with noise on one input at a time, and the others at zero.

    A dynamic range is what an output takes whichever input is perturbed.
    """
    inputs = [uniform(in_range, n) * row for row in np.eye(n, dtype=np.float32)]
    outputs = np.stack([outputs_of(function, values) for values in inputs])
    limits = [out_range] * outputs.shape[2]
    if out_range == "dynamic":
        limits = list(zip(outputs.min((0, 1)), outputs.max((0, 1)), strict=True))
    return np.array(
        [
            [
                of_edge(inputs[a][:, a], outputs[a, :, b], in_range, in_bins, limits[b], out_bins)
                for b in range(outputs.shape[2])
            ]
            for a in range(n)
        ]
    )


BINNINGS = [
    {"in_range": (-1, 1), "in_bins": 6, "out_range": (-1, 1), "out_bins": 4},
    {"in_range": (0, 2), "in_bins": 4, "out_range": "dynamic", "out_bins": 5},
    {"in_range": (-2, 1), "in_bins": 6, "out_range": "dynamic", "out_bins": "dynamic"},
    {"in_range": (-1, 1), "in_bins": 5, "out_range": (-1, 1), "out_bins": "dynamic"},
]


@pytest.mark.parametrize("binning", BINNINGS)
def test_edges(network, topology, binning):
    layer, function = network[0], network[:2]
    options = {"samples": SAMPLES, **binning}

    of_parts = parts(function, 3, *binning.values())
    of_alone = alone(function, 3, *binning.values())

    assert ei_parts_matrix(layer, topology, **options) == pytest.approx(of_parts, abs=0.02)
    assert ei_parts(layer, topology, **options) == pytest.approx(of_parts.sum(), abs=CLOSE)
    assert sensitivity_matrix(layer, topology, **options) == pytest.approx(of_alone, abs=0.02)
    assert sensitivity(layer, topology, **options) == pytest.approx(of_alone.sum(), abs=CLOSE)


@pytest.mark.parametrize(
    ("options", "function"),
    [
        ({}, lambda network: network[:2]),
        ({"activation": torch.sigmoid}, lambda network: lambda x: network[0](x).sigmoid()),
        ({"in_layer": 0}, lambda network: network),
        ({"batch_size": 7, "device": "cpu"}, lambda network: network[:2]),
    ],
)
def test_what_is_measured(network, topology, options, function):
    layer = network[0]
    if "in_layer" in options:
        layer, options = network[2], {"in_layer": network[0]}
    binning = {"in_range": (-1, 1), "in_bins": 4, "out_range": (-1, 1), "out_bins": 4}

    found = ei_parts_matrix(layer, topology, samples=SAMPLES, **binning, **options)

    assert found == pytest.approx(parts(function(network), 3, *binning.values()), abs=0.02)


def whole(function, n, in_range, in_bins, out_range, out_bins, group=None):
    """The information between whole vectors, or of a group, by counting tuples."""
    inputs = uniform(in_range, n)
    columns = []
    for values, limits, bins, units in (
        (inputs, in_range, in_bins, None if group is None else group[0]),
        (outputs_of(function, inputs), out_range, out_bins, None if group is None else group[1]),
    ):
        low, high = limits
        indices = np.floor((values - low) / (high - low) * bins).clip(0, bins - 1)
        chosen = indices if units is None else indices[:, list(units)]
        columns.append(np.unique(chosen, axis=0, return_inverse=True)[1].ravel())
    counts = np.zeros((columns[0].max() + 1, columns[1].max() + 1))
    np.add.at(counts, tuple(columns), 1)
    return information(counts)


def test_whole_vectors_groups_and_pairs(network, topology):
    layer, function = network[0], network[:2]
    binning = {"in_range": (-1, 1), "in_bins": 3, "out_range": (-1, 1), "out_bins": 4}
    options = {"samples": SAMPLES, **binning}
    groups = [((0, 1, 2), (0, 1)), ((1,), (0,)), ((0, 2), (1,))]

    vector = whole(function, 3, *binning.values())
    of_groups = [whole(function, 3, *binning.values(), group) for group in groups]
    pairwise = parts(function, 3, *binning.values()).sum()

    assert ei(layer, topology, **options) == pytest.approx(vector, abs=CLOSE)
    assert eis_between_groups(layer, topology, groups, **options) == pytest.approx(
        of_groups, abs=CLOSE
    )
    assert vector_and_pairwise_ei(layer, topology, **options) == pytest.approx(
        (vector, pairwise), abs=CLOSE
    )


PLACES = ("batch_size", "in_layer", "in_range", "in_bins", "out_range", "out_bins", "activation")


@pytest.mark.parametrize(
    ("function", "first"),
    [
        (ei, {"threshold": 0.1, "samples": 900}),
        (ei_parts, {"threshold": 0.1, "samples": 900, "extrapolate": False}),
        (ei_parts_matrix, {"samples": 900}),
        (sensitivity, {"samples": 900}),
        (sensitivity_matrix, {"samples": 900}),
        (eis_between_groups, {"groups": [((0, 1), (1,))], "samples": 900}),
        (vector_and_pairwise_ei, {"samples": 900}),
    ],
)
def test_arguments_have_their_places(network, topology, function, first):
    layer = network[0]
    common = dict(zip(PLACES, (20, layer, (-1, 1), 3, (0, 1), 4, nn.Sigmoid()), strict=True))
    arguments = {**first, **common, "device": "cpu"}

    torch.manual_seed(5)
    by_name = function(layer, topology, **arguments)
    torch.manual_seed(5)
    in_place = function(layer, topology, *arguments.values())

    assert in_place == pytest.approx(by_name)


@pytest.mark.parametrize("measure", [ei, ei_parts])
def test_without_a_number_of_samples_a_threshold_says_when_to_stop(network, topology, measure):
    binning = {"in_range": (-1, 1), "in_bins": 2, "out_range": (-1, 1), "out_bins": 2}
    many = measure(network[0], topology, samples=400_000, **binning)

    assert measure(network[0], topology, threshold=0.05, **binning) == pytest.approx(many, abs=0.1)


def test_extrapolation_to_infinitely_many_samples(network, topology):
    binning = {"in_range": (-1, 1), "in_bins": 6, "out_range": (-1, 1), "out_bins": 6}
    exact = parts(network[:2], 3, *binning.values()).sum()

    found = ei_parts(network[0], topology, samples=SAMPLES, extrapolate=True, **binning)

    assert found == pytest.approx(exact, abs=CLOSE)


def test_two_series_and_units():
    x, y = np.random.default_rng(1).random((2, 500))
    y = (x + y) / 2

    for bins in (8, (4, 6)):
        for limits in (((0, 1), (0, 1)), ((0, 1), (0.2, 0.7))):
            expected = information(np.histogram2d(x, y, bins, limits)[0])
            assert MI(torch.from_numpy(x), torch.from_numpy(y), bins, limits) == pytest.approx(
                expected
            )
    assert nats_to_bits(math.log(8)) == pytest.approx(3)


def test_the_topology_knows_shapes_and_activations(network, topology):
    assert list(topology.edges) == [(network[0], network[2])]
    first, second = topology.nodes[network[0]], topology.nodes[network[2]]
    assert first["input"]["shape"] == (1, 3)
    assert first["output"]["shape"] == second["input"]["shape"] == (1, 2)
    assert first["input"]["activation"] is None
    assert first["output"]["activation"] is second["input"]["activation"] is network[1]
    assert second["output"]["activation"] is network[3]


# What is otherwise here, on purpose: docs/differences.md


def scaled(*factors):
    layer = nn.Linear(len(factors), len(factors), bias=False)
    layer.weight.data = torch.diag(torch.tensor(factors))
    return layer, topology_of(layer, torch.zeros(1, len(factors)))


def test_a_dynamic_range_is_that_of_each_output_there_that_of_all():
    layer, topology = scaled(1.0, 4.0)
    options = {"samples": SAMPLES, "in_range": (0, 1), "in_bins": 8, "out_bins": 8}

    of_each = sensitivity(layer, topology, out_range="dynamic", **options)
    of_all = sensitivity(layer, topology, out_range=(0, 4), **options)

    assert of_each == pytest.approx(3 + 3, abs=0.03)
    assert of_all == pytest.approx(1 + 3, abs=0.03)


def test_samples_below_the_range_are_left_out_of_whole_vectors_there_have_bins_of_their_own():
    layer, topology = scaled(2.0)
    options = {"samples": SAMPLES, "in_range": (-0.5, 0.5), "in_bins": 8, "out_bins": 4}

    with pytest.warns(UserWarning, match="left out"):
        left_out = ei(layer, topology, out_range=(0, 1), **options)
    further_bins = ei(layer, topology, out_range=(-1, 1), **{**options, "out_bins": 8})

    assert left_out == pytest.approx(2, abs=0.01)
    assert further_bins == pytest.approx(3, abs=0.01)
