"""Which axis counts the neurons: right in networks in wide use, asked for where nobody can know."""

import warnings

import numpy as np
import pytest
import torch
from networks import (
    GPT,
    BasicBlock,
    Conv1D,
    ConvNeXtBlock,
    LayerNorm2d,
    LlamaMLP,
    NewGELU,
    Permute,
    RMSNorm,
    WeightedBlock,
)
from oracle import brute_force, captured
from torch import nn

import deep_bottleneck.state_space as ts
from deep_bottleneck.state_space.axes import ChosenAxes, Neurons, axis_carried_on, axis_of_weights


def outputs_by_name(network: nn.Module, inputs: torch.Tensor) -> dict[str, np.ndarray]:
    """What comes out of every module, the first of a tuple."""
    outputs: dict[str, np.ndarray] = {}

    def keep(name):
        def hook(module, inputs, output):
            first = output[0] if isinstance(output, tuple) else output
            outputs[name] = first.clone().numpy()

        return hook

    handles = [each.register_forward_hook(keep(name)) for name, each in network.named_modules()]
    with torch.no_grad():
        network(inputs)
    for handle in handles:
        handle.remove()
    return outputs


def is_list(module: nn.Module) -> bool:
    return isinstance(module, nn.ModuleList)


TOKENS = torch.randint(0, 20, (7, 5), generator=torch.Generator().manual_seed(0))
NETWORKS = {
    "a GPT": (GPT(), TOKENS, -1),
    "Llama's feed-forward block": (LlamaMLP(12, 20), torch.randn(7, 5, 12), -1),
    "ConvNeXt, inside": (
        ConvNeXtBlock(6),
        torch.randn(4, 6, 8, 7),
        {"block.0": 1, "block": 1, "block.6": 1, "drop": 1, "": 1},
    ),
    "Swin's windows": (WeightedBlock(6), torch.randn(4, 8, 8, 6), -1),
    "channels first in a LayerNorm": (
        nn.Sequential(LayerNorm2d(24), nn.ReLU()),
        torch.randn(8, 24, 5, 5),
        1,
    ),
    "one image without a batch": (
        nn.Sequential(nn.Conv2d(3, 9, 3), nn.ReLU(), nn.MaxPool2d(2)),
        torch.randn(3, 9, 11),
        0,
    ),
    "one series without a batch": (
        nn.Sequential(nn.Conv1d(3, 9, 3), nn.ReLU()),
        torch.randn(3, 11),
        0,
    ),
    "one vector without a batch": (nn.Linear(3, 9), torch.randn(3), -1),
    "features of a recurrent layer": (
        nn.LSTM(3, 9, batch_first=True),
        torch.randn(4, 9, 3),
        -1,
    ),
    "as many tokens as features": (
        nn.Sequential(nn.Linear(5, 9), nn.GELU(), nn.Dropout(0.0)),
        torch.randn(4, 9, 5),
        -1,
    ),
    "images as high as there are channels": (
        nn.Sequential(nn.Conv2d(3, 9, 1), nn.GroupNorm(3, 9), nn.ReLU(), nn.AvgPool2d(1)),
        torch.randn(4, 3, 9, 9),
        1,
    ),
    "positions after a convolution, made tokens": (
        nn.Sequential(nn.Conv2d(3, 9, 2, 2), nn.Flatten(2), Permute(0, 2, 1), nn.Dropout(0.0)),
        torch.randn(4, 3, 8, 8),
        {"0": 1, "1": 1},
    ),
}


@pytest.mark.parametrize("case", NETWORKS)
def test_every_module_has_its_neurons_where_they_are(case):
    network, inputs, axes = NETWORKS[case]
    network.eval()
    if isinstance(axes, int):
        axes = dict.fromkeys(dict(network.named_modules()), axes)
    outputs = outputs_by_name(network, inputs)

    # attention has no neurons on any axis, and a list is never called
    exclude = [name for name, _ in network.named_modules() if name.endswith("attn_dropout")]
    exclude += [nn.ModuleList] if any(map(is_list, network.modules())) else []
    ts.build_efficiency_model(network, nn.Module, exclude)
    with torch.no_grad():
        network(inputs)

    root = type(network).__name__
    for capture in network.efficiency_layers:
        name = capture.name.removesuffix("_post_states")
        name = "" if name == root else name
        assert captured(capture) == brute_force(outputs[name], axes.get(name, -1)), capture.name
    n_without = sum(name.endswith("attn_dropout") for name in outputs)
    assert len(network.efficiency_layers) == len(outputs) - n_without


def test_a_relu_on_a_sum_has_the_channels_of_the_layers_before():
    torch.manual_seed(0)
    network, images = BasicBlock(6).eval(), torch.randn(5, 6, 8, 8)
    with torch.no_grad():
        first = torch.relu(network.bn1(network.conv1(images)))
        second = torch.relu(images + network.bn2(network.conv2(first)))

        ts.build_efficiency_model(network, "ReLU")
        network(images)

    of_first, of_second = network.efficiency_layers
    assert captured(of_first) == brute_force(first.numpy(), 1)
    assert captured(of_second) == brute_force(second.numpy(), 1)


def test_what_goes_into_a_layer_has_its_neurons_found_too():
    network, images = BasicBlock(6).eval(), torch.randn(5, 6, 8, 8)
    ts.build_efficiency_model(network, ["conv2", "relu"], method="before")
    with torch.no_grad():
        network(images)

    assert [capture.max_entropy() for capture in network.efficiency_layers] == [6.0] * 3
    assert network.efficiency_layers[0].name == "conv2_pre_states"


@pytest.mark.filterwarnings("ignore:.*deprecated")
def test_a_quantised_linear_has_its_neurons_last():
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = torch.ao.quantization.quantize_dynamic(
            nn.Sequential(nn.Linear(3, 13), nn.ReLU()), {nn.Linear}
        )
    inputs = torch.randn(64, 17, 3)
    outputs = outputs_by_name(network, inputs)

    ts.build_efficiency_model(network, ["0", "ReLU"])
    with torch.no_grad():
        network(inputs)

    for capture, name in zip(network.efficiency_layers, ("0", "1"), strict=True):
        assert captured(capture) == brute_force(outputs[name], -1)


@pytest.mark.parametrize(
    ("module", "inputs", "axis"),
    [
        (nn.Linear(3, 13), torch.randn(6, 17, 3), -1),
        (nn.Conv2d(3, 13, 3), torch.randn(6, 3, 8, 8), 1),
        (Conv1D(13, 3), torch.randn(6, 17, 3), -1),
        (RMSNorm(13), torch.randn(6, 17, 13), -1),
        (LayerNorm2d(13), torch.randn(6, 13, 8, 8), 1),
        (nn.MultiheadAttention(12, 3, batch_first=True), torch.randn(6, 17, 12), -1),
    ],
)
def test_a_hook_placed_by_hand_finds_the_neurons_of_layers_with_weights(module, inputs, axis):
    capture = ts.StateCaptureHook("mine")
    module.register_forward_hook(capture)
    with torch.no_grad():
        output = module(*[inputs] * (3 if isinstance(module, nn.MultiheadAttention) else 1))

    output = output[0] if isinstance(output, tuple) else output
    assert captured(capture) == brute_force(output.numpy(), axis)


class Tokens(nn.Module):
    """Makes as many tokens as there are features, by an operation that no module tells of."""

    def __init__(self):
        super().__init__()
        self.embed, self.drop = nn.Linear(9, 9), nn.Dropout(0.0)

    def forward(self, x):
        return self.drop(self.embed(x).transpose(1, 2) + 1)


@pytest.mark.parametrize(
    ("make", "attach_to", "inputs", "shape"),
    [
        (Tokens, "Dropout", torch.randn(4, 9, 9), "4, 9, 9"),
        (lambda: nn.Sequential(nn.ReLU()), "ReLU", torch.randn(4, 9, 7), "4, 9, 7"),
        (lambda: nn.Sequential(RMSNorm(9)), "RMSNorm", torch.randn(4, 9, 9), "4, 9, 9"),
        (
            lambda: nn.Sequential(nn.Conv2d(3, 9, 1), LayerNorm2d(9)),
            "LayerNorm2d",
            torch.randn(4, 3, 9, 9),
            "4, 9, 9, 9",
        ),
        (lambda: GPT(), "h.0.attn.attn_dropout", TOKENS, "7, 3, 5, 5"),
    ],
)
def test_what_nobody_can_know_is_asked_for_by_name(make, attach_to, inputs, shape):
    network = ts.build_efficiency_model(make().eval(), attach_to)

    with pytest.raises(
        ValueError,
        match=rf"_post_states cannot tell which axis of the shape \({shape}\) counts the neurons: "
        "pass it as channel_axis",
    ):
        network(inputs)


def test_by_hand_it_is_asked_for_too():
    capture = ts.StateCaptureHook("mine")
    with pytest.raises(ValueError, match="mine cannot tell which axis"):
        capture.record(torch.ones(4, 3, 5))
    module = nn.ReLU()
    module.register_forward_hook(capture)
    with pytest.raises(ValueError, match=r"mine cannot tell .* such as -1 for the last"):
        module(torch.ones(4, 3, 5))

    told = ts.StateCaptureHook("mine", channel_axis=2)
    told.record(torch.ones(4, 3, 5))
    assert (told.state_count, told.max_entropy()) == (12, 5.0)


@pytest.mark.parametrize(
    "channel_axis", [-1, 2, {"1": -1}, {"NewGELU": -1}, {NewGELU: 2}, {"1": -1, NewGELU: 1}]
)
def test_the_answer_is_an_axis_or_one_by_name_or_type(channel_axis):
    inputs = torch.randn(4, 9, 9)
    network = nn.Sequential(Permute(0, 2, 1), NewGELU())

    ts.build_efficiency_model(network, "NewGELU", channel_axis=channel_axis)
    network(inputs)

    expected = brute_force(inputs.transpose(1, 2).numpy(), -1)
    assert captured(network.efficiency_layers[0]) == expected


def test_what_follows_an_answer_is_known():
    network = nn.Sequential(Permute(0, 2, 1), nn.Dropout(0.0))
    ts.build_efficiency_model(network, ["Permute", "Dropout"], channel_axis={"Permute": -1})
    inputs = torch.randn(4, 9, 9)
    network.eval()(inputs)

    expected = brute_force(inputs.transpose(1, 2).numpy(), -1)
    assert [captured(capture) for capture in network.efficiency_layers] == [expected] * 2


@pytest.mark.parametrize(
    ("channel_axis", "error", "message"),
    [
        ({"Relu": 1}, ValueError, "channel_axis names 'Relu', .* did you mean 'ReLU'"),
        (
            "last",
            TypeError,
            "channel_axis takes an axis, or axes by name or type of layer, got",
        ),
        ({"ReLU": "last"}, TypeError, "channel_axis takes an axis"),
        (True, TypeError, "channel_axis takes an axis"),
    ],
)
def test_an_answer_that_makes_no_sense_is_refused(channel_axis, error, message):
    with pytest.raises(error, match=message):
        ts.build_efficiency_model(nn.Sequential(nn.ReLU()), "ReLU", channel_axis=channel_axis)


def test_an_axis_stays_known_when_a_batch_is_as_long_as_there_are_neurons():
    network = ts.build_efficiency_model(nn.Sequential(RMSNorm(9)), "RMSNorm")
    network(torch.randn(4, 7, 9))
    network(torch.randn(4, 9, 9))

    (capture,) = network.efficiency_layers
    assert capture.state_count == 4 * 7 + 4 * 9


def test_a_name_goes_before_a_type_and_a_type_before_none():
    chosen = ChosenAxes({nn.ReLU: 1, "act": -1})

    assert chosen.of("act", nn.ReLU) == -1
    assert chosen.of("other", nn.ReLU) == 1
    assert chosen.of("other", nn.GELU) is None
    assert ChosenAxes(2).of("other", nn.GELU) == 2


@pytest.mark.parametrize(
    ("shape", "lengths", "carried", "axis"),
    [
        ((4, 7, 9), {9, 3}, None, -1),
        ((4, 9, 7, 7), {9}, None, -3),
        ((4, 9, 9), {9}, None, None),
        ((4, 9, 9), {9}, -2, -2),
        ((4, 9, 3), {9, 3}, -1, -1),
        ((4, 7, 7), {9}, -1, -1),
        ((9, 7, 7), {9}, None, None),
        ((4, 1, 7), {1}, None, None),
    ],
)
def test_weights_tell_the_axis_by_their_length(shape, lengths, carried, axis):
    assert axis_of_weights(shape, lengths, carried) == axis


@pytest.mark.parametrize(
    ("shape", "before", "in_order", "axis"),
    [
        ((4, 9, 3, 3), [Neurons((4, 9, 6, 6), -3)], True, -3),
        ((4, 9, 9, 9), [Neurons((4, 9, 9, 9), -3)], False, None),
        ((4, 36, 9), [Neurons((4, 9, 6, 6), -3)], False, -1),
        ((9, 6, 6), [Neurons((9, 6, 6), -3)], False, -3),
        ((9, 9, 6), [Neurons((9, 9, 6), -3)], False, None),
        ((4, 5, 9), [Neurons((4, 5, 9), -1), Neurons((4, 5, 9), -2)], True, None),
        ((4, 5, 9), [], True, None),
        ((4, None, 9), [Neurons((4, None, 9), -1)], False, -1),
    ],
)
def test_an_operation_without_weights_carries_the_axis_on(shape, before, in_order, axis):
    assert axis_carried_on(shape, before, in_order) == axis
