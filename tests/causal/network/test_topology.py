import pytest
import torch
from torch import nn
from torch.nn import functional

from deep_bottleneck.causal import channel_of, topology_of


def named(model, topology):
    names = {module: name for name, module in model.named_modules()}
    nodes = {names[module]: data for module, data in topology.nodes(data=True)}
    return nodes, {(names[source], names[target]) for source, target in topology.edges}


def test_a_sequence_is_a_chain_with_shapes_and_activations():
    network = nn.Sequential(nn.Linear(42, 20), nn.Sigmoid(), nn.Linear(20, 10))

    topology = topology_of(network, input=torch.zeros((1, 42)))

    first, sigmoid, second = network
    assert list(topology.edges) == [(first, second)]
    assert topology.nodes[first]["input"] == {"activation": None, "shape": (1, 42)}
    assert topology.nodes[first]["output"] == {"activation": sigmoid, "shape": (1, 20)}
    assert topology.nodes[second]["input"] == {"activation": sigmoid, "shape": (1, 20)}
    assert topology.nodes[second]["output"] == {"activation": None, "shape": (1, 10)}


def test_a_single_module_is_a_graph_of_its_own():
    layer = nn.Linear(3, 2)

    assert list(topology_of(layer, torch.zeros(1, 3)).nodes) == [layer]


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.last = nn.Linear(8, 2)

    def forward(self, x):
        first = functional.relu(self.first(x))
        skipped = torch.sigmoid(self.norm(self.second(first)) + first)
        return torch.tanh(self.last(torch.cat([skipped, first], dim=1).view(-1, 8)))


def test_edges_follow_skip_connections_and_concatenation():
    model = Residual()

    topology = topology_of(model, torch.zeros(1, 4))

    nodes, edges = named(model, topology)
    assert edges == {
        ("first", "second"), ("second", "norm"), ("norm", "last"), ("first", "last"),
    }  # fmt: skip
    assert isinstance(nodes["first"]["output"]["activation"], nn.ReLU)
    assert isinstance(nodes["second"]["input"]["activation"], nn.ReLU)
    assert nodes["norm"]["output"]["activation"] is None  # what passes the sigmoid is a sum
    assert nodes["last"]["input"]["activation"] is None  # a sigmoid and a ReLU together
    assert isinstance(nodes["last"]["output"]["activation"], nn.Tanh)
    plain = {(s, t): topology.edges[s, t]["is_plain"] for s, t in topology.edges}
    assert plain[model.first, model.second]
    assert not plain[model.norm, model.last]


def test_values_of_one_activation_keep_it_through_concatenation_pooling_and_flattening():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.left = nn.Conv2d(1, 2, 3)
            self.right = nn.Conv2d(1, 2, 3)
            self.head = nn.Linear(16, 1)

        def forward(self, x):
            left, right = self.left(x).relu(), functional.relu_(self.right(x))
            both = functional.max_pool2d(torch.cat([left, right], dim=1), 2)
            return self.head(both.flatten(1))

    model = Branches()

    nodes, _ = named(model, topology_of(model, torch.zeros(1, 1, 6, 6)))

    assert isinstance(nodes["left"]["output"]["activation"], nn.ReLU)
    assert isinstance(nodes["right"]["output"]["activation"], nn.ReLU)
    assert isinstance(nodes["head"]["input"]["activation"], nn.ReLU)


def test_a_slice_keeps_the_activation():
    class Sliced(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Linear(3, 8)
            self.of_some = nn.Linear(5, 2)
            self.of_all = nn.Linear(8, 2)

        def forward(self, x):
            hidden = functional.relu(self.first(x))
            return self.of_some(hidden[:, :5]) + self.of_all(hidden)

    model = Sliced()

    topology = topology_of(model, torch.zeros(1, 3))

    assert isinstance(topology.nodes[model.of_some]["input"]["activation"], nn.ReLU)
    assert channel_of(model.of_some, topology).in_range == (0, 10)
    assert not topology.edges[model.first, model.of_some]["is_plain"]
    assert topology.edges[model.first, model.of_all]["is_plain"]


@pytest.mark.parametrize(
    "function, module",
    [
        (lambda x: functional.leaky_relu(x, 0.3), nn.LeakyReLU(0.3)),
        (lambda x: functional.hardtanh(x, 0, 5), nn.Hardtanh(0, 5)),
        (lambda x: functional.elu(input=x, alpha=2.0), nn.ELU(alpha=2.0)),
        (lambda x: functional.gelu(x, approximate="tanh"), nn.GELU(approximate="tanh")),
        (lambda x: functional.softplus(x, 2), nn.Softplus(2)),
        (torch.Tensor.tanh_, nn.Tanh()),
    ],
)
def test_activations_called_as_functions_are_the_modules_with_their_arguments(function, module):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, x):
            return function(self.layer(x))

    model = Model()

    topology = topology_of(model, torch.zeros(1, 3))

    values = torch.linspace(-8, 8, 33)
    found = topology.nodes[model.layer]["output"]["activation"]
    assert type(found) is type(module)
    assert torch.equal(found(values.clone()), module(values.clone()))


@pytest.mark.parametrize(
    "turned",
    [
        lambda x: x.T,
        lambda x: x.permute(1, 0),
        lambda x: x.swapaxes(0, 1),
        lambda x: x.moveaxis(0, 1),
        lambda x: x.flip(-1),
        lambda x: torch.roll(x, 1, dims=-1),
        lambda x: x.rot90(),
        lambda x: functional.pixel_shuffle(x.reshape(1, 9, 1, 1), 3).reshape(3, 3),
        # some of the values, several times, or means of them
        lambda x: x.repeat(2, 1),
        lambda x: x[:1].expand(4, 3),
        lambda x: x.repeat_interleave(2, dim=0),
        lambda x: torch.vstack(x.unbind()),
        lambda x: x.gather(0, torch.zeros(1, 3, dtype=torch.int64)),
        lambda x: x.mean(dim=0, keepdim=True),
        lambda x: x.amax(dim=0, keepdim=True),
    ],
)
def test_a_change_of_order_is_no_plain_edge_but_keeps_the_activation(turned):
    class Turned(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 2)

        def forward(self, x):
            return self.second(turned(functional.relu(self.first(x))))

    model = Turned()

    topology = topology_of(model, torch.zeros(3, 3))

    assert isinstance(topology.nodes[model.second]["input"]["activation"], nn.ReLU)
    assert not topology.edges[model.first, model.second]["is_plain"]


def test_a_module_used_again_has_the_edges_of_all_uses():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.shared = nn.Linear(3, 3)
            self.between = nn.Linear(3, 3)

        def forward(self, x):
            return self.shared(self.between(self.shared(x)))

    model = Twice()

    _, edges = named(model, topology_of(model, torch.zeros(1, 3)))

    assert edges == {("shared", "between"), ("between", "shared")}


def test_custom_and_recurrent_modules_are_nodes():
    class Scale(nn.Module):
        def forward(self, x):
            return 2 * x

    class Custom(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(3, 4, batch_first=True)
            self.scale = Scale()
            self.head = nn.Linear(4, 1)

        def forward(self, x):
            sequence, _ = self.lstm(x)
            return self.head(self.scale(sequence[:, -1]))

    model = Custom()

    _, edges = named(model, topology_of(model, torch.zeros(2, 5, 3)))

    assert edges == {("lstm", "scale"), ("scale", "head")}


def test_several_inputs():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right, self.out = nn.Linear(2, 3), nn.Linear(4, 3), nn.Linear(3, 1)

        def forward(self, x, y):
            return self.out(self.left(x) * self.right(y))

    model = Two()

    _, edges = named(model, topology_of(model, (torch.zeros(1, 2), torch.zeros(1, 4))))

    assert edges == {("left", "out"), ("right", "out")}


def test_tracing_leaves_the_network_as_it_was():
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(inplace=True), nn.Dropout())
    network[3].eval()

    topology = topology_of(network, torch.ones(1, 3))

    assert isinstance(topology.nodes[network[1]]["output"]["activation"], nn.ReLU)
    assert [module.training for module in network] == [True, True, True, False]
    assert network[1].num_batches_tracked == 0
    assert not network[0]._forward_hooks
    assert not network[0]._forward_pre_hooks


def test_a_failing_network_is_left_without_hooks():
    layer = nn.Linear(3, 2)

    with pytest.raises(RuntimeError):
        topology_of(layer, torch.zeros(1, 4))

    assert not layer._forward_hooks
    assert layer.training


def test_what_is_no_network_is_refused():
    with pytest.raises(TypeError, match=r"expected a torch.nn.Module or a Keras model, got list"):
        topology_of([nn.Linear(2, 2)], torch.zeros(1, 2))
    with pytest.raises(ValueError, match=r"has no modules to make a graph of"):
        topology_of(nn.Sequential(nn.ReLU()), torch.zeros(1, 2))
