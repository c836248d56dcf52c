import pytest
import torch
from torch import nn

from deep_bottleneck.causal import (
    causal_plane,
    channel_of,
    degeneracy,
    ei,
    ei_parts,
    eis_between_groups,
    sensitivity,
    topology_of,
    vector_and_pairwise_ei,
)
from deep_bottleneck.errors import EstimationError


@pytest.fixture
def network():
    return nn.Sequential(nn.Linear(3, 4), nn.Sigmoid(), nn.Linear(4, 2))


@pytest.fixture
def topology(network):
    return topology_of(network, torch.zeros(1, 3))


@pytest.mark.parametrize("measure", [ei, ei_parts, sensitivity, causal_plane])
def test_a_layer_that_is_not_in_the_topology(measure, network, topology):
    with pytest.raises(ValueError, match=r"Linear\(in_features=1,.* is not in the topology"):
        measure(nn.Linear(1, 1), topology)
    with pytest.raises(ValueError, match=r"Sigmoid\(\) is not in the topology: pass a module of"):
        measure(network[1], topology)


def test_in_layer_after_layer(network, topology):
    with pytest.raises(ValueError, match=r"in_layer Linear\(in_features=4.*does not come before"):
        ei(network[0], topology, in_layer=network[2])


def test_dynamic_input_range(network, topology):
    with pytest.raises(ValueError, match=r"in_range='dynamic'.*only out_range can be dynamic"):
        ei(network[0], topology, in_range="dynamic")


@pytest.mark.parametrize("module", [nn.LSTM(3, 4), nn.PixelShuffle(1), nn.CosineSimilarity()])
def test_an_unsupported_module(module):
    given = torch.zeros(1, 3, 3) if isinstance(module, nn.PixelShuffle) else torch.zeros(1, 3)
    both = isinstance(module, nn.CosineSimilarity)
    topology = topology_of(module, (given, given) if both else given)

    with pytest.raises(TypeError, match=rf"{type(module).__name__}.*cannot be measured; modules"):
        ei(module, topology)


@pytest.mark.parametrize("module", [nn.Dropout(), nn.BatchNorm1d(3)])
def test_training_mode(module):
    topology = topology_of(module.eval(), torch.zeros(2, 3))

    with pytest.raises(EstimationError, match=rf"{type(module).__name__}.*training mode.*eval\(\)"):
        ei_parts(module.train(), topology)


def test_batch_normalisation_without_statistics():
    module = nn.BatchNorm1d(3, track_running_stats=False).eval()

    with pytest.raises(EstimationError, match=r"depend on the batch"):
        ei_parts(module, topology_of(module, torch.zeros(2, 3)))


def test_more_than_one_way():
    class Skip(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x):
            a = self.a(x)
            return self.c(a + self.b(a))

    model = Skip()
    topology = topology_of(model, torch.zeros(1, 2))

    with pytest.raises(ValueError, match="more than one way between"):
        ei(model.c, topology, in_layer=model.a)
    assert channel_of(model.b, topology, in_layer=model.a).in_shape == (2,)


def test_something_between_that_is_not_a_module():
    class Doubled(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x):
            return self.b(2 * self.a(x))

    model = Doubled()

    with pytest.raises(ValueError, match="something happens to the data that is not a module"):
        ei(model.b, topology_of(model, torch.zeros(1, 2)), in_layer=model.a)


def test_an_unknown_range():
    layer = nn.Linear(2, 2)
    topology = topology_of(layer, torch.zeros(1, 2))

    with pytest.raises(ValueError, match=r"range of the activation GLU.*pass in_range or"):
        ei(layer, topology, activation=nn.GLU())


@pytest.mark.parametrize(
    "options, message",
    [
        ({"samples": 1}, r"samples must be an integer of at least 2, got 1"),
        ({"samples": 15, "return_error": True}, r"at least 20, got 15"),
        ({"samples": 2.5}, r"samples must be an integer"),
        ({"samples": True}, r"samples must be an integer of at least 2, got True"),
        ({"samples": "many"}, r"samples must be an integer of at least 2, got 'many'"),
        ({"samples": float("inf")}, r"samples must be an integer of at least 2, got inf"),
        ({"samples": 0, "extrapolate": True}, r"samples must be an integer of at least 32, got 0"),
        ({"samples": 31, "extrapolate": True}, r"integer of at least 32, got 31"),
        ({"in_bins": 0}, r"in_bins must be a positive integer, got 0"),
        ({"out_bins": "many"}, r"out_bins must be a positive integer, got 'many'"),
        ({"in_range": (1, 0)}, r"in_range must be a pair \(lower, upper\) with lower < upper"),
        ({"out_range": 3}, r"out_range must be a pair"),
        ({"correction": "magic"}, r"correction must be None or one of miller-madow, grassberger"),
        ({"samples": None, "threshold": -0.1}, r"threshold must be a number that is not negative"),
        ({"samples": None, "threshold": float("nan")}, r"threshold must be .* negative, got nan"),
        ({"batch_size": -1}, r"batch_size must be a positive integer, got -1"),
        ({"seed": 2**70}, r"seed must be an integer of at most 64 bits, got 11805"),
        ({"samples": 100, "outside": "wrap"}, r'outside must be "drop" or "clip", got .wrap.'),
    ],
)
def test_arguments_out_of_range(options, message, network, topology):
    with pytest.raises(ValueError, match=message):
        ei_parts(network[0], topology, **{"samples": 100, **options})


@pytest.mark.parametrize("activation", ["sigmoid", nn.Sigmoid])
def test_an_activation_that_is_no_function_of_values(activation, network, topology):
    with pytest.raises(TypeError, match=r"activation must be a function such as nn.Sig"):
        ei_parts(network[0], topology, activation=activation)


@pytest.mark.parametrize("sizes", [(0, 3), (3, 0)])
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors:UserWarning")
def test_a_layer_without_inputs_or_outputs(sizes):
    layer = nn.Linear(*sizes)

    with pytest.raises(ValueError, match=r"Linear.* has no inputs or no outputs: there is nothing"):
        ei_parts(layer, topology_of(layer, torch.zeros(1, sizes[0])))


def test_a_layer_without_weights_yet():
    with pytest.raises(ValueError, match=r"LazyLinear.* has no weights yet: run the network once"):
        topology_of(nn.Sequential(nn.LazyLinear(3)), torch.zeros(1, 2))


def test_no_samples_are_not_the_default_number(network, topology):
    with pytest.raises(ValueError, match=r"samples must be an integer of at least 2, got 0"):
        vector_and_pairwise_ei(network[0], topology, samples=0)
    with pytest.raises(ValueError, match=r"samples must be an integer of at least 2, got 0"):
        eis_between_groups(network[0], topology, [((0,), (0,))], samples=0)


def test_extrapolation_and_correction(network, topology):
    with pytest.raises(ValueError, match=r"either extrapolate=True or correction='shuffle'"):
        ei_parts(network[0], topology, extrapolate=True, correction="shuffle")


def test_unknown_choices(network, topology):
    with pytest.raises(ValueError, match=r'others must be "zero" or "random", got .one.'):
        sensitivity(network[0], topology, samples=10, others="one")
    with pytest.raises(ValueError, match=r'compared_with must be "sensitivity" or "uniform"'):
        degeneracy(network[0], topology, compared_with="nothing")
    with pytest.raises(ValueError, match=r"shuffle.*for edges"):
        ei(network[0], topology, samples=100, in_bins=2, correction="shuffle")


def test_groups_of_units_that_do_not_exist(network, topology):
    with pytest.raises(IndexError, match=r"indices of inputs from 0 to 2, got \(3,\)"):
        eis_between_groups(network[0], topology, [((3,), (0,))], samples=100, in_range=(0, 1))


def test_weights_that_are_not_finite(network, topology):
    network[2].weight.data[0, 0] = torch.nan

    for measure in (ei, ei_parts, sensitivity):
        with pytest.raises(EstimationError, match=r"Linear.*NaN or infinite.*check its weights"):
            measure(network[2], topology, samples=100, in_bins=2)


def test_no_output_inside_the_range(network, topology):
    with pytest.raises(ValueError, match="every sample has an output outside out_range"):
        ei(network[2], topology, samples=100, in_bins=2, out_range=(50, 60))
