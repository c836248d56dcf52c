import pytest
import torch
from torch import nn
from torch.nn import functional

from deep_bottleneck.causal import channel_of, ei_parts, topology_of
from deep_bottleneck.causal.injection.ranges import ACTIVATIONS, range_of

VALUES = torch.linspace(-8, 8, 34).view(2, 17)


class Activated(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.function = [function]  # no module of the network

    def forward(self, x):
        return self.function[0](self.layer(x))


def recorded(function):
    """The activation that the topology has for the layer before a function."""
    model = Activated(function)
    return topology_of(model, torch.zeros(2, 4)).nodes[model.layer]["output"]["activation"]


@pytest.mark.parametrize(
    "function",
    [
        functional.hardsigmoid, functional.hardswish, functional.mish, functional.celu,
        functional.logsigmoid, functional.hardshrink, functional.softshrink, functional.tanhshrink,
        functional.softplus, torch.special.expit, torch.sin, torch.exp, torch.square, torch.erf,
        torch.abs, lambda x: x.clamp(min=0), lambda x: x.clamp_(-1, 2),
        lambda x: torch.clamp(input=x, max=0.5), lambda x: torch.maximum(x, torch.zeros(())),
        lambda x: torch.maximum(torch.zeros(()), x), lambda x: functional.threshold(x, 0.5, 0.1),
        lambda x: functional.rrelu(x, 0.1, 0.3), lambda x: x**2,
        lambda x: functional.prelu(x, torch.tensor([0.2])),
    ],
)  # fmt: skip
def test_any_function_of_single_values_is_the_activation_of_the_layer_before(function):
    assert torch.equal(recorded(function)(VALUES.clone()), function(VALUES.clone()))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: 2 * x + 1, lambda x: x / torch.tensor(2.0), lambda x: x.cumsum(0),
        lambda x: functional.layer_norm(x, (3,)), lambda x: x > 0,
        lambda x: x - x.mean(), lambda x: x.roll(1), lambda x: x * torch.arange(3),
        lambda x: x @ torch.ones(3, 3), functional.normalize, lambda x: x.sort().values,
        lambda x: x * torch.rand(()),
    ],
)  # fmt: skip
def test_what_is_affine_or_looks_at_other_values_is_no_activation(function):
    assert recorded(function) is None


@pytest.mark.parametrize(
    "gate",
    [
        lambda y: y * torch.sigmoid(y),
        lambda y: torch.sigmoid(y) * y,
        lambda y: y + y.relu(),
        lambda y: torch.where(y > 0, y, 0.1 * y),
        lambda y: y * functional.softmax(y, dim=-1),
        lambda y: y.tanh() * y.sigmoid(),
    ],
)
def test_an_output_that_is_used_more_than_once_has_no_activation_of_its_own(gate):
    assert recorded(gate) is None


def test_a_gated_unit_is_measured_without_an_activation():
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.last = nn.Linear(4, 6), nn.Linear(3, 2)

        def forward(self, x):
            return self.last(functional.glu(self.layer(x)))

    model = Gated()

    topology = topology_of(model, torch.zeros(1, 4))

    assert topology.nodes[model.layer]["output"]["activation"] is None
    assert not topology.edges[model.layer, model.last]["is_plain"]


def test_a_use_beside_the_activation_makes_the_way_through_it_no_plain_one():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.left, self.right = (nn.Linear(3, 3) for _ in range(3))

        def forward(self, x):
            y = self.layer(x)
            return self.left(y.relu()) + self.right(y)

    model = Branches()

    topology = topology_of(model, torch.zeros(1, 3))

    assert topology.nodes[model.layer]["output"]["activation"] is None
    assert isinstance(topology.nodes[model.left]["input"]["activation"], nn.ReLU)
    assert not topology.edges[model.layer, model.left]["is_plain"]
    assert topology.edges[model.layer, model.right]["is_plain"]


class Squared(nn.Module):
    """An activation that torch does not have."""

    def forward(self, x):
        return x.relu_().square()


def test_an_activation_module_of_one_s_own_is_the_activation_of_the_layer_before():
    network = nn.Sequential(nn.Linear(3, 2), Squared(), nn.Linear(2, 2))

    topology = topology_of(network, torch.zeros(1, 3))

    first, activation, last = network
    assert list(topology.edges) == [(first, last)]
    assert topology.nodes[first]["output"]["activation"] is activation
    assert channel_of(last, topology).in_range == (0, 100)
    noise = torch.rand(5, 3)
    assert torch.allclose(channel_of(first, topology)(noise)[0], first(noise).relu() ** 2)


def test_looking_at_the_shape_or_logging_is_no_use():
    def logged(y):
        assert y.shape[1] == y.size(-1)
        y.detach().cpu().numpy()
        return y.relu()

    assert isinstance(recorded(logged), nn.ReLU)


def test_a_layer_that_is_called_twice_keeps_the_activation_of_each_call():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.shared = nn.Linear(3, 3)

        def forward(self, x):
            return self.shared(self.shared(x).relu()).relu()

    model = Twice()

    found = topology_of(model, torch.zeros(1, 3)).nodes[model.shared]["output"]["activation"]

    assert isinstance(found, nn.ReLU)


@pytest.mark.parametrize(
    "activation, limits",
    [
        (nn.Mish(), (-0.31, 10.0)),
        (nn.Hardswish(), (-0.38, 10.0)),
        (nn.CELU(2.0), (-1.99, 10.0)),
        (nn.Hardshrink(), (-10.0, 10.0)),
        (nn.Threshold(1.0, -3.0), (-3.0, 10.0)),
        (nn.PReLU(init=-0.5), (0.0, 10.0)),
        (nn.PReLU(4, init=3.0), (-30.0, 10.0)),
        (torch.tanh, (-1.0, 1.0)),
        (torch.square, (0.0, 100.0)),
    ],
)
def test_ranges_in_no_table_are_what_the_activation_makes_of_the_usual_range(activation, limits):
    assert range_of(activation) == pytest.approx(limits, abs=0.011)


def test_every_activation_of_torch_is_known():
    gated_or_attending = {nn.GLU, nn.MultiheadAttention}
    every = {getattr(nn.modules.activation, name) for name in nn.modules.activation.__all__}

    assert every - gated_or_attending <= set(ACTIVATIONS) | {nn.ReLU6}


def test_an_activation_that_is_given_decides_the_range():
    network = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    topology = topology_of(network, torch.zeros(1, 2))

    assert channel_of(network[0], topology).out_range == (0, 10)
    assert channel_of(network[0], topology, activation=nn.Tanh()).out_range == (-1, 1)
    assert channel_of(network[0], topology, activation=torch.sigmoid).out_range == (0, 1)


@pytest.mark.parametrize("dim", [1, -1])
def test_softmax_goes_along_the_neurons_however_its_axis_is_called(dim):
    layer = nn.Linear(4, 3)
    network, functional_one = nn.Sequential(layer, nn.Softmax(dim)), Activated(None)
    functional_one.layer, functional_one.function = layer, [lambda x: functional.softmax(x, dim)]
    noise = torch.rand(7, 4)

    for model in (network, functional_one):
        channel = channel_of(layer, topology_of(model, torch.zeros(1, 4)))
        assert torch.allclose(channel(noise)[0], layer(noise).softmax(1))
        assert channel.out_range == (0, 1)


def test_softmax_of_channels_and_of_all_places():
    layer, image = nn.Conv2d(1, 3, 2), torch.rand(5, 1, 2, 2)
    topology = topology_of(nn.Sequential(layer, nn.Softmax2d()), torch.zeros(1, 1, 4, 4))
    assert torch.allclose(
        channel_of(layer, topology)(image.flatten(1))[0], layer(image).softmax(1).flatten(1)
    )

    along_width = topology_of(nn.Sequential(layer, nn.Softmax(3)), torch.zeros(1, 1, 4, 4))
    with pytest.raises(ValueError, match=r"Softmax\(dim=3\) goes along axis 3 of outputs of shape"):
        channel_of(layer, along_width)

    norm, whole = nn.BatchNorm2d(2).eval(), torch.rand(5, 2, 3, 3)
    topology = topology_of(nn.Sequential(norm, nn.Softmax(1)).eval(), torch.zeros(1, 2, 3, 3))
    found = channel_of(norm, topology)(whole.flatten(1))[0]
    assert torch.allclose(found, norm(whole).softmax(1).flatten(1), atol=1e-6)


def test_slopes_of_each_neuron():
    layer, activation = nn.Conv1d(1, 3, 2), nn.PReLU(3)
    activation.weight.data = torch.tensor([0.1, 0.5, -1.0])
    topology = topology_of(nn.Sequential(layer, activation), torch.zeros(1, 1, 5))
    noise = 10 * torch.rand(6, 1, 2) - 5

    found = channel_of(layer, topology)(noise.flatten(1))[0]

    assert torch.allclose(found, activation(layer(noise)).flatten(1))


def test_a_function_and_its_module_have_the_same_information():
    module, function = Activated(nn.Hardsigmoid()), Activated(functional.hardsigmoid)
    function.layer = module.layer
    options = {"samples": 2_000, "in_range": (-1, 1), "in_bins": 8, "out_bins": 8, "seed": 0}

    found = [ei_parts(m.layer, topology_of(m, torch.zeros(1, 4)), **options)
             for m in (module, function)]  # fmt: skip

    assert found[0] == found[1]
