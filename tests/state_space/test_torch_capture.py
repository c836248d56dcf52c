import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import brute_force, captured
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import deep_bottleneck.state_space as ts


def small_network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ELU(), nn.Flatten(), nn.Linear(6 * 36, 4)
    )


images = torch.rand(10, 1, 8, 8, generator=torch.Generator().manual_seed(1))


@settings(max_examples=40, deadline=None)
@given(
    n_neurons=st.lists(st.integers(1, 300), min_size=1, max_size=3),
    size=st.integers(1, 5),
    batches=st.lists(st.integers(1, 7), min_size=1, max_size=4),
    channels_last=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_counts_are_those_of_brute_force(n_neurons, size, batches, channels_last, seed):
    torch.manual_seed(seed)
    widths = [2, *n_neurons]
    network = nn.Sequential()
    for n_in, n_out in zip(widths, n_neurons, strict=False):
        network.append(nn.Conv2d(n_in, n_out, 1)).append(nn.ReLU())
    seen: dict[int, list[np.ndarray]] = {id(module): [] for module in network}
    for module in network:
        module.register_forward_hook(
            lambda module, _, output: seen[id(module)].append(output.numpy())
        )
    if channels_last:
        network.to(memory_format=torch.channels_last)

    ts.build_efficiency_model(network, ["Conv2d", "ReLU"])
    with torch.no_grad():
        for batch in batches:
            network(torch.randn(batch, 2, size, size).round())

    for module, capture in zip(network, network.efficiency_layers, strict=True):
        assert captured(capture) == brute_force(np.concatenate(seen[id(module)]), channel_axis=1)
        assert capture.state_count == sum(batches) * size * size


@settings(max_examples=20, deadline=None)
@given(n_neurons=st.integers(1, 300), steps=st.integers(1, 4), seed=st.integers(0, 2**31))
def test_linear_layers_have_their_neurons_last(n_neurons, steps, seed):
    torch.manual_seed(seed)
    layer = nn.Linear(3, n_neurons)
    inputs = torch.randn(6, steps, 3)

    ts.build_efficiency_model(layer, "Linear", method="both")
    with torch.no_grad():
        outputs = layer(inputs)

    before, after = layer.efficiency_layers
    assert captured(before) == brute_force(inputs.numpy(), channel_axis=-1)
    assert captured(after) == brute_force(outputs.numpy(), channel_axis=-1)


@pytest.mark.parametrize(
    ("method", "names"),
    [
        ("before", ["0_pre_states", "4_pre_states"]),
        ("after", ["0_post_states", "4_post_states"]),
        ("both", ["0_pre_states", "0_post_states", "4_pre_states", "4_post_states"]),
    ],
)
def test_names_say_where_the_states_were_captured(method, names):
    network = ts.build_efficiency_model(small_network(), ["Conv2d", "Linear"], method=method)

    assert [capture.name for capture in network.efficiency_layers] == names


def test_nested_modules_are_found_by_their_full_name():
    network = nn.Sequential(nn.Sequential(nn.Linear(2, 3)), nn.Linear(3, 1))

    ts.build_efficiency_model(network, ["0.0"])

    assert [capture.name for capture in network.efficiency_layers] == ["0.0_post_states"]


def test_outputs_and_gradients_do_not_change():
    plain, probed = small_network(), small_network()
    ts.build_efficiency_model(probed, ["Conv2d", "ELU", "Linear"], method="both")

    outputs = [network(images) for network in (plain, probed)]
    for output in outputs:
        output.square().sum().backward()

    assert torch.equal(*outputs)
    for one, other in zip(plain.parameters(), probed.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_gradient_modes_make_no_difference(context):
    network = ts.build_efficiency_model(small_network().eval(), "Conv2d")
    with context():
        network(images)

    assert network.efficiency_layers[0].state_count == 10 * 36


def test_a_second_build_replaces_the_first():
    network = ts.build_efficiency_model(small_network(), "Conv2d")
    (old,) = network.efficiency_layers

    ts.build_efficiency_model(network, "Linear")
    network(images)

    assert old.state_count == 0
    assert [capture.state_count for capture in network.efficiency_layers] == [10]


def test_a_failed_build_leaves_the_captures_that_were_there():
    network = ts.build_efficiency_model(small_network(), "Conv2d")

    with pytest.raises(ValueError, match="did you mean 'Conv2d'"):
        ts.build_efficiency_model(network, "Conv2D")
    network(images)

    assert network.efficiency_layers[0].state_count == 10 * 36


def test_training_passes_go_unrecorded_when_asked():
    network = ts.build_efficiency_model(small_network(), "Conv2d", evaluation_only=True)
    (capture,) = network.efficiency_layers

    network.train()(images)
    assert capture.state_count == 0
    network.eval()(images)
    assert capture.state_count == 10 * 36


def test_a_module_that_is_called_twice_is_two_places():
    shared = nn.Linear(3, 3)
    network = ts.build_efficiency_model(nn.Sequential(shared, nn.ReLU(), shared), "Linear")
    for inputs in (torch.randn(5, 3), torch.randn(2, 3)):
        network(inputs)

    counts = {capture.name: capture.state_count for capture in network.efficiency_layers}
    assert counts == {"0_post_states": 7, "0_post_states_2": 7}


def test_reset_forgets_the_states_of_all_layers():
    network = ts.build_efficiency_model(small_network(), ["Conv2d", "Linear"])
    network(images)

    ts.reset_efficiency_model(network)

    assert [capture.state_count for capture in network.efficiency_layers] == [0, 0]


def test_a_hook_can_be_placed_by_hand():
    capture = ts.StateCaptureHook(name="mine")
    layer = nn.Linear(3, 8)
    layer.register_forward_hook(capture)
    layer(torch.rand(5, 3))

    assert isinstance(capture, ts.AbstractStateCapture)
    assert capture.state_count == 5


class Pyramid(nn.Module):
    """Gives what a block of its own calls neither output nor tuple."""

    def forward(self, x):
        return {"fine": x, "coarse": x[:, :1]}


def test_a_layer_with_several_outputs_is_named_and_the_others_stay_usable():
    network = nn.Sequential(nn.Linear(3, 3), Pyramid())
    ts.build_efficiency_model(network, ["Linear", "Pyramid"])

    with pytest.raises(TypeError, match="1_post_states can capture one tensor, got dict"):
        network(torch.randn(4, 3))
    assert network.efficiency_layers[0].efficiency() > 0


def test_a_changed_number_of_channels_is_an_error_that_keeps_the_counts():
    network = ts.build_efficiency_model(nn.Sequential(nn.ReLU()), "ReLU")
    network(torch.ones(4, 3))

    with pytest.raises(
        ValueError, match="0_post_states captured states of 3 neurons and now got 5"
    ):
        network(torch.ones(4, 5))
    assert network.efficiency_layers[0].state_count == 4


def test_workers_that_load_the_data_are_no_trouble():
    # no fork beside the threads of JAX
    loader = DataLoader(
        TensorDataset(images), batch_size=3, num_workers=1, multiprocessing_context="spawn"
    )
    network = ts.build_efficiency_model(small_network().eval(), "Conv2d")
    with torch.no_grad():
        for (batch,) in loader:
            network(batch)

    assert network.efficiency_layers[0].state_count == 10 * 36


def test_a_compiled_network_is_captured_too():
    network = ts.build_efficiency_model(small_network().eval(), ["Conv2d", "Linear"])
    network(images)
    expected = [captured(capture) for capture in network.efficiency_layers]
    ts.reset_efficiency_model(network)

    with torch.no_grad():
        torch.compile(network, backend="eager")(images)

    assert [captured(capture) for capture in network.efficiency_layers] == expected


def pickled(network: nn.Module) -> nn.Module:
    return pickle.loads(pickle.dumps(network))  # noqa: S301


@pytest.mark.parametrize("duplicate", [copy.deepcopy, pickled])
def test_a_copied_network_captures_on_its_own(duplicate):
    network = ts.build_efficiency_model(small_network(), "Conv2d")
    network(images)

    twin = duplicate(network)
    twin(images)

    assert network.efficiency_layers[0].state_count == 10 * 36
    assert twin.efficiency_layers[0].state_count == 20 * 36


def test_other_kinds_of_models_are_refused():
    with pytest.raises(TypeError, match=r"expected a torch.nn.Module or a keras.Model, got dict"):
        ts.build_efficiency_model({}, "Linear")
    with pytest.raises(TypeError, match="Linear has no captures"):
        ts.reset_efficiency_model(nn.Linear(1, 1))
