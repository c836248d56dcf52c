import numpy as np
import pytest
import torch
from torch import nn

from deep_bottleneck.causal import (
    channel_of,
    ei,
    ei_parts,
    ei_parts_matrix,
    eis_between_groups,
    sensitivity,
    sensitivity_matrix,
    topology_of,
    vector_and_pairwise_ei,
)

UNIT = {"in_range": (0, 1), "out_range": (0, 1)}


def linear(weight, activation=None):
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    layer.weight.data = weight
    model = nn.Sequential(layer, *([] if activation is None else [activation]))
    return layer, topology_of(model, torch.zeros(1, weight.shape[1]))


def identity(n):
    return linear(torch.eye(n))


def mutual_information(counts):
    joint = counts / counts.sum()
    independent = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    seen = joint > 0
    return float((joint[seen] * np.log2(joint[seen] / independent[seen])).sum())


# What is known


@pytest.mark.parametrize("bins", [2, 8, 64])
@pytest.mark.parametrize("correction", [None, "miller-madow", "grassberger", "shuffle"])
def test_identity_has_log_bins_on_each_matched_edge_and_none_on_others(bins, correction):
    layer, topology = identity(4)

    matrix = ei_parts_matrix(
        layer, topology, samples=100_000, in_bins=bins, out_bins=bins, correction=correction,
        **UNIT,
    )  # fmt: skip

    assert np.diag(matrix) == pytest.approx(np.log2(bins), abs=0.01)
    plug_in_bias = (bins - 1) ** 2 / (2 * 100_000 * np.log(2))
    others = matrix[~np.eye(4, dtype=bool)]
    assert others == pytest.approx(plug_in_bias if correction is None else 0.0, abs=2e-3)


@pytest.mark.parametrize("measure", [ei, ei_parts, sensitivity])
@pytest.mark.parametrize("correction", [None, "grassberger"])
def test_a_constant_layer_has_none(measure, correction):
    layer, topology = linear(torch.zeros(3, 2), nn.Sigmoid())

    value = measure(
        layer, topology, samples=5_000, in_bins=8, out_bins=8, in_range=(0, 1),
        correction=correction,
    )  # fmt: skip

    assert value == pytest.approx(0.0, abs=1e-6)


def test_an_invertible_map_keeps_every_bit_of_its_input():
    layer, topology = linear(torch.eye(3).flip(0))

    value = ei(layer, topology, samples=100_000, in_bins=4, out_bins=4, **UNIT)

    assert value == pytest.approx(3 * np.log2(4), abs=0.01)


def test_too_few_samples_for_the_states_are_bounded_and_warned_of():
    layer, topology = identity(5)

    with pytest.warns(UserWarning, match=r"can resolve at most 10.0 bits, but 5 inputs of 64"):
        value = ei(layer, topology, samples=1_024, **UNIT)

    assert value == pytest.approx(10.0)


def test_sensitivity_of_a_copy_is_log_bins_and_of_a_negated_copy_too():
    layer, topology = linear(torch.tensor([[1.0, 0.0], [0.0, -1.0]]))

    matrix = sensitivity_matrix(
        layer, topology, samples=50_000, in_range=(0, 1), out_range=(-1, 1), in_bins=8, out_bins=16
    )

    assert matrix == pytest.approx(np.diag([3.0, 3.0]), abs=0.01)


def test_information_of_a_sum_of_two_uniforms():
    # Y = X1 + X2 in two halves, X1 in two halves: P(Y high | X1 high) = 3/4
    layer, topology = linear(torch.ones(1, 2))

    matrix = ei_parts_matrix(
        layer, topology, samples=300_000, in_range=(0, 1), out_range=(0, 2), in_bins=2, out_bins=2
    )

    assert matrix == pytest.approx(1 - (-0.75 * np.log2(0.75) + 0.5), abs=0.005)


# Against a straightforward computation


def test_values_are_those_of_pairwise_histograms_of_the_same_noise():
    layer, topology = linear(torch.randn(4, 3), nn.Tanh())
    seen = []
    handle = layer.register_forward_hook(lambda _, x, y: seen.append((x[0], y.tanh())))

    matrix = ei_parts_matrix(
        layer, topology, samples=3_000, in_range=(-1, 1), in_bins=10, out_bins=20, seed=1
    )

    handle.remove()
    inputs, outputs = next(pair for pair in seen if len(pair[0]) == 3_000)
    for a in range(3):
        for b in range(4):
            counts = np.histogram2d(
                inputs[:, a].double(), outputs[:, b].double(), bins=(10, 20),
                range=((-1, 1), (-1, 1)),
            )[0]  # fmt: skip
            assert matrix[a, b] == pytest.approx(mutual_information(counts), abs=1e-10)


@pytest.mark.filterwarnings("ignore:.*lie outside out_range:UserWarning")
@pytest.mark.parametrize("activation", [None, nn.Sigmoid(), nn.Tanh(), nn.ReLU()])
@pytest.mark.parametrize("others", ["zero", "random"])
def test_counting_by_rank_is_evaluating(activation, others, monkeypatch):
    layer, topology = linear(torch.randn(5, 4), activation)
    options = {
        "samples": 4_000, "in_range": (-1, 1), "out_range": (-3, 3), "in_bins": 8, "out_bins": 30,
        "others": others, "seed": 5,
    }  # fmt: skip

    by_rank = sensitivity_matrix(layer, topology, **options)
    monkeypatch.setattr("deep_bottleneck.causal.network.stretches.AFFINE", ())
    by_evaluation = sensitivity_matrix(layer, topology, **options)

    assert by_rank == pytest.approx(by_evaluation, abs=3 * np.log2(4_000) / 4_000)


def test_parts_are_the_sum_of_their_matrix():
    layer, topology = linear(torch.randn(4, 3), nn.Sigmoid())
    options = {"samples": 1_000, "in_range": (0, 1), "in_bins": 8, "out_bins": 8, "seed": 3}

    assert ei_parts(layer, topology, **options) == pytest.approx(
        ei_parts_matrix(layer, topology, **options).sum()
    )
    assert sensitivity(layer, topology, **options) == pytest.approx(
        sensitivity_matrix(layer, topology, **options).sum()
    )


def test_vector_information_by_counting_tuples():
    layer, topology = linear(torch.randn(2, 2), nn.Sigmoid())
    seen = []
    handle = layer.register_forward_hook(lambda _, x, y: seen.append((x[0], y.sigmoid())))

    value = ei(layer, topology, samples=2_000, in_range=(0, 1), in_bins=4, out_bins=8)

    handle.remove()
    inputs, outputs = next(pair for pair in seen if len(pair[0]) == 2_000)
    states = [(inputs * 4).long() @ torch.tensor([1, 4]), (outputs * 8).long()]
    states[1] = states[1] @ torch.tensor([1, 8])
    counts = np.histogram2d(*states, bins=(np.arange(17), np.arange(65)))[0]
    assert value == pytest.approx(mutual_information(counts), abs=1e-10)


def test_groups_of_everything_and_of_single_units_are_vector_and_pairwise():
    layer, topology = linear(torch.randn(2, 3), nn.Sigmoid())
    options = {"samples": 4_000, "in_range": (0, 1), "in_bins": 4, "out_bins": 4, "seed": 2}

    everything, single = eis_between_groups(
        layer, topology, [((0, 1, 2), (0, 1)), ((1,), (0,))], **options
    )
    vector, pairwise = vector_and_pairwise_ei(layer, topology, **options)

    assert everything == pytest.approx(vector)
    assert vector == pytest.approx(ei(layer, topology, **options))
    assert pairwise == pytest.approx(ei_parts(layer, topology, **options))
    assert single == pytest.approx(ei_parts_matrix(layer, topology, **options)[1, 0])


# Samples


def test_a_correction_makes_few_samples_as_good_as_many():
    layer, topology = linear((torch.rand(100, 100) - 0.5) / 5, nn.Sigmoid())
    options = {"in_range": (0, 1), "in_bins": 8, "out_bins": 8, "seed": 0}

    many = ei_parts(layer, topology, samples=300_000, **options)
    few = ei_parts(layer, topology, samples=10_000, **options)
    corrected = ei_parts(layer, topology, samples=10_000, correction="shuffle", **options)
    fitted = ei_parts(layer, topology, samples=60_000, extrapolate=True, **options)

    assert few > 1.1 * many
    assert corrected == pytest.approx(many, rel=0.03)
    assert fitted == pytest.approx(many, rel=0.03)


@pytest.mark.parametrize("measure", [ei, ei_parts, sensitivity])
def test_standard_errors_are_the_spread_over_seeds(measure):
    layer, topology = linear(torch.randn(3, 2), nn.Sigmoid())
    options = {"samples": 4_000, "in_range": (0, 1), "in_bins": 4, "out_bins": 8}

    found = [
        measure(layer, topology, seed=seed, return_error=True, **options) for seed in range(16)
    ]

    values, errors = np.transpose(found)
    assert errors.mean() == pytest.approx(values.std(ddof=1), rel=0.5)


def test_without_a_number_samples_are_doubled_until_the_value_settles():
    layer, topology = linear(torch.randn(3, 4), nn.Sigmoid())
    options = {"in_range": (0, 1), "in_bins": 8, "out_bins": 8}

    settled = ei_parts(layer, topology, threshold=0.01, **options)

    assert settled == pytest.approx(ei_parts(layer, topology, samples=500_000, **options), rel=0.02)
    assert ei(layer, topology, threshold=0.1, **options) > 0
    assert ei_parts_matrix(layer, topology, **options).sum() == pytest.approx(settled, rel=0.05)


@pytest.mark.parametrize("measure", [ei, ei_parts, sensitivity, vector_and_pairwise_ei])
def test_a_whole_number_of_samples_may_be_a_float(measure):
    layer, topology = identity(2)
    options = {"in_bins": 4, "out_bins": 4, "seed": 0, **UNIT}

    assert measure(layer, topology, samples=1e3, **options) == measure(
        layer, topology, samples=1_000, **options
    )


def test_the_seed_decides():
    layer, topology = identity(2)
    options = {"samples": 500, "in_bins": 4, "out_bins": 4, **UNIT}

    assert ei(layer, topology, seed=4, **options) == ei(layer, topology, seed=4, **options)
    assert ei(layer, topology, seed=4, **options) != ei(layer, topology, seed=5, **options)
    torch.manual_seed(7)
    first = ei_parts(layer, topology, **options)
    torch.manual_seed(7)
    assert ei_parts(layer, topology, **options) == first


def test_values_do_not_depend_on_how_the_work_is_divided(monkeypatch):
    layer, topology = linear(torch.randn(5, 4), nn.Sigmoid())
    options = {"samples": 2_000, "in_range": (0, 1), "in_bins": 8, "out_bins": 8, "seed": 1}
    whole = ei_parts_matrix(layer, topology, **options)

    monkeypatch.setattr("deep_bottleneck.causal.injection.edges.CELLS_AT_ONCE", 1)
    assert ei_parts_matrix(layer, topology, **options) == pytest.approx(whole, abs=1e-12)
    monkeypatch.setattr("deep_bottleneck.causal.injection.noise._VALUES_AT_ONCE", 1_000)
    in_pieces = ei_parts_matrix(layer, topology, **options)
    assert in_pieces == pytest.approx(whole, abs=0.05)


# Ranges


def test_ranges_come_from_the_activations():
    network = nn.Sequential(
        nn.Linear(4, 3, bias=False), nn.Sigmoid(), nn.Linear(3, 2, bias=False), nn.Tanh()
    )
    topology = topology_of(network, torch.zeros(1, 4))
    options = {"samples": 1_000, "in_bins": 8, "out_bins": 8, "seed": 0}

    inferred = ei_parts(network[2], topology, **options)
    given = ei_parts(
        network[2], topology, in_range=(0, 1), out_range=(-1, 1), activation=nn.Tanh(), **options
    )

    assert inferred == given


@pytest.mark.parametrize(
    "activation, limits",
    [
        (nn.ReLU6(), (0, 6)),
        (nn.Hardtanh(), (-1, 1)),
        (nn.Hardtanh(0, 5), (0, 5)),
        (nn.ELU(), (-1, 10)),
        (nn.ELU(alpha=2.5), (-2.5, 10)),
    ],
)
def test_an_activation_with_bounds_of_its_own_has_that_range(activation, limits):
    network = nn.Sequential(nn.Linear(3, 4), activation, nn.Linear(4, 2))
    topology = topology_of(network, torch.zeros(1, 3))

    assert channel_of(network[0], topology).out_range == limits
    assert channel_of(network[2], topology).in_range == limits


def test_dynamic_ranges_and_bins_follow_each_output():
    layer, topology = linear(torch.diag(torch.tensor([1.0, 4.0])))
    options = {"samples": 50_000, "in_range": (0, 1), "in_bins": 8, "seed": 0}

    by_range = ei_parts_matrix(layer, topology, out_range="dynamic", out_bins=8, **options)
    by_bins = ei_parts_matrix(layer, topology, out_range="dynamic", out_bins="dynamic", **options)
    lone = sensitivity_matrix(layer, topology, out_range="dynamic", out_bins=8, **options)

    assert np.diag(by_range) == pytest.approx([3, 3], abs=0.01)
    assert np.diag(by_bins) == pytest.approx([3, 3], abs=0.01)
    assert np.diag(lone) == pytest.approx([3, 3], abs=0.05)


def test_outputs_outside_their_range_are_left_out_or_clipped_and_warned_of():
    layer, topology = linear(torch.tensor([[2.0]]))
    options = {"samples": 100_000, "in_range": (0, 1), "in_bins": 8, "out_range": (0, 1)}

    with pytest.warns(UserWarning, match=r"(49|50)\.\d+% of the outputs of Linear.*left out") as w:
        left_out = ei_parts(layer, topology, out_bins=4, **options)
    assert len(w) == 1
    with pytest.warns(UserWarning, match="counted in the outermost bins"):
        clipped = ei_parts(layer, topology, out_bins=4, outside="clip", **options)

    assert left_out == pytest.approx(2.0, abs=0.01)
    # 1/8 of the input in each of three bins, 5/8 in the last
    expected = -3 / 8 * np.log2(1 / 8) - 5 / 8 * np.log2(5 / 8)
    assert clipped == pytest.approx(expected, abs=0.01)
    with pytest.warns(UserWarning, match="counted in the outermost bins"):
        alone = sensitivity(layer, topology, out_bins=4, outside="clip", **options)
    assert alone == pytest.approx(expected, abs=0.01)


# Kinds of layers


def test_a_stretch_of_layers_is_their_composition():
    network = nn.Sequential(
        nn.Linear(3, 4), nn.Sigmoid(), nn.Dropout(), nn.Linear(4, 2), nn.Tanh()
    ).eval()
    topology = topology_of(network, torch.zeros(1, 3))
    options = {"samples": 2_000, "in_range": (0, 1), "out_bins": 16, "in_bins": 4, "seed": 1}

    stretch = ei(network[3], topology, in_layer=network[0], **options)

    class Whole(nn.Linear):
        def forward(self, x):
            return network[3](network[1](network[0](x)))

    whole = Whole(3, 2)
    alone = ei(whole, topology_of(whole, torch.zeros(1, 3)), activation=nn.Tanh(),
               out_range=(-1, 1), **options)  # fmt: skip
    assert stretch == pytest.approx(alone)


@pytest.mark.parametrize(
    "layer, shape, n_inputs, n_outputs",
    [
        (nn.Conv1d(2, 3, 4), (1, 2, 9), 8, 3),
        (nn.Conv2d(1, 2, 3, padding=1), (1, 1, 8, 8), 9, 2),
        (nn.Conv2d(1, 2, 3, padding="same", dilation=2), (1, 1, 8, 8), 25, 2),
        (nn.Conv3d(1, 2, 2, stride=2, padding=1, padding_mode="circular"), (1, 1, 4, 4, 4), 8, 2),
        (nn.MaxPool2d(2), (1, 3, 6, 6), 12, 3),
        (nn.AvgPool1d(3), (1, 2, 6), 6, 2),
    ],
)
def test_local_layers_are_measured_on_the_patch_one_position_sees(
    layer, shape, n_inputs, n_outputs
):
    topology = topology_of(layer, torch.zeros(shape))

    matrix = ei_parts_matrix(
        layer, topology, samples=1_000, in_range=(0, 1), out_range="dynamic", in_bins=4, out_bins=4
    )

    assert matrix.shape == (n_inputs, n_outputs)
    assert matrix.sum() > 0


@pytest.mark.parametrize("kind", [nn.Conv2d, nn.MaxPool2d])
def test_a_subclass_with_padding_is_measured_like_its_class(kind):
    class Own(kind):
        pass

    def matrix(kind):
        torch.manual_seed(0)
        arguments = (1, 2, 3) if issubclass(kind, nn.Conv2d) else (3,)
        layer = kind(*arguments, padding=1)
        topology = topology_of(layer, torch.zeros(1, 1, 6, 6))
        return ei_parts_matrix(layer, topology, samples=200, seed=0)

    assert (matrix(Own) == matrix(kind)).all()


def test_a_convolution_is_the_linear_map_of_its_patch():
    convolution = nn.Conv2d(2, 3, 2, padding=1, stride=2, bias=False)
    dense = nn.Linear(8, 3, bias=False)
    dense.weight.data = convolution.weight.data.flatten(1)
    options = {
        "samples": 5_000,
        "in_range": (0, 1),
        "out_range": "dynamic",
        "in_bins": 8,
        "seed": 0,
    }

    first = ei_parts_matrix(
        convolution, topology_of(convolution, torch.zeros(1, 2, 6, 6)), **options
    )
    second = ei_parts_matrix(dense, topology_of(dense, torch.zeros(1, 8)), **options)

    assert first == pytest.approx(second, abs=1e-3)


def test_convolution_and_pooling_see_the_pool_s_patch():
    network = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
    topology = topology_of(network, torch.zeros(1, 1, 8, 8))

    matrix = ei_parts_matrix(
        network[2], topology, in_layer=network[0], samples=500, in_range=(0, 1), in_bins=4,
        out_bins=4,
    )  # fmt: skip

    assert matrix.shape == (16, 2)


@pytest.mark.parametrize("layer", [nn.Flatten(), nn.Dropout().eval()])
def test_layers_that_only_pass_on_are_identities(layer):
    topology = topology_of(layer, torch.zeros(1, 3))

    value = ei_parts(layer, topology, samples=50_000, in_bins=4, out_bins=4, **UNIT)

    assert value == pytest.approx(6.0, abs=0.01)


def test_batch_normalisation_scales():
    layer = nn.BatchNorm1d(2).eval()
    topology = topology_of(layer, torch.zeros(1, 2))

    value = ei_parts(layer, topology, samples=20_000, in_bins=4, out_bins=4, in_range=(-1, 1),
                     out_range="dynamic")  # fmt: skip

    assert value == pytest.approx(4.0, abs=0.05)
