"""Each call of a layer is a place, whatever it is given, and no call is missed in silence."""

import threading

import numpy as np
import pytest
import torch
from networks import GPT
from oracle import brute_force, captured
from torch import nn

import deep_bottleneck.state_space as ts


class TwoOfOne(nn.Module):
    """One ReLU module at two places."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.relu = nn.Linear(6, 4), nn.Linear(4, 3), nn.ReLU()

    def forward(self, x):
        return self.relu(self.b(self.relu(self.a(x))))


inputs = torch.randn(50, 6, generator=torch.Generator().manual_seed(1))


def of_both(network: TwoOfOne, x: torch.Tensor) -> list[dict[bytes, int]]:
    with torch.no_grad():
        first = torch.relu(network.a(x))
        return [brute_force(h.numpy(), -1) for h in (first, torch.relu(network.b(first)))]


def counts_by_name(network: nn.Module) -> dict[str, int]:
    return {capture.name: capture.state_count for capture in network.efficiency_layers}


def test_a_module_at_two_places_has_the_states_of_each_apart():
    network = ts.build_efficiency_model(TwoOfOne(), "ReLU", method="both")
    expected = of_both(network, inputs)
    ts.reset_efficiency_model(network)

    for batch in inputs.split(20):
        network(batch)

    found = {capture.name: captured(capture) for capture in network.efficiency_layers}
    assert list(found) == [
        "relu_pre_states",
        "relu_pre_states_2",
        "relu_post_states",
        "relu_post_states_2",
    ]
    assert [found["relu_post_states"], found["relu_post_states_2"]] == expected


def test_a_failed_pass_leaves_the_next_one_right():
    network = ts.build_efficiency_model(TwoOfOne(), "ReLU")
    network(inputs)
    network.b.weight.data = torch.ones(3, 5)  # does not fit
    with pytest.raises(RuntimeError):
        network(inputs)
    network.b.weight.data = torch.ones(3, 4)
    network(inputs)
    network.relu(inputs[:, :4])

    assert counts_by_name(network) == {"relu_post_states": 200, "relu_post_states_2": 100}


def test_threads_that_share_a_network_do_not_mix_their_calls():
    network = ts.build_efficiency_model(TwoOfOne(), "ReLU")
    threads = [
        threading.Thread(target=lambda: [network(inputs) for _ in range(20)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert counts_by_name(network) == {"relu_post_states": 4000, "relu_post_states_2": 4000}


class ByKeyword(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 4)

    def forward(self, x):
        return self.layer(input=x)


def test_an_input_by_keyword_is_captured():
    network = ts.build_efficiency_model(ByKeyword(), "Linear", method="before")
    network(inputs)

    assert captured(network.efficiency_layers[0]) == brute_force(inputs.numpy(), -1)


def test_a_hook_placed_by_hand_says_that_it_sees_no_keywords():
    network, capture = ByKeyword(), ts.StateCaptureHook("mine")
    network.layer.register_forward_pre_hook(capture)

    with pytest.raises(TypeError, match="mine saw no tensor by position: if the input"):
        network(inputs)


def test_a_capture_that_attaches_itself_sees_keywords_until_it_is_removed():
    network, before, after = ByKeyword(), ts.StateCaptureHook("in"), ts.StateCaptureHook("out")
    before.attach(network.layer, before=True)
    after.attach(network.layer)
    outputs = network(inputs)
    for capture in (before, after):
        capture.remove()
    network(inputs)

    assert captured(before) == brute_force(inputs.numpy(), -1)
    assert captured(after) == brute_force(outputs.detach().numpy(), -1)


def test_blocks_that_give_tuples_are_captured_by_their_first_output():
    network, tokens = GPT(depth=1).eval(), torch.randint(0, 20, (3, 5))
    seen = []
    network.h[0].register_forward_hook(lambda module, inputs, output: seen.append(output[0]))
    ts.build_efficiency_model(network, "GPTBlock", method="both")
    with torch.no_grad():
        network(tokens)
        embedded = network.wte(tokens) + 0.1

    before, after = network.efficiency_layers
    assert captured(before) == brute_force(embedded.numpy(), -1)
    assert captured(after) == brute_force(seen[0].numpy(), -1)


def test_attention_is_captured_by_its_output_and_its_query_where_all_are_one():
    attention = nn.MultiheadAttention(6, 2, batch_first=True)
    tokens = inputs.reshape(10, 5, 6)
    with torch.no_grad():
        output, _ = attention(tokens, tokens, tokens)
        ts.build_efficiency_model(attention, "MultiheadAttention", method="both")
        attention(tokens, tokens, tokens)
        before, after = attention.efficiency_layers
        assert captured(before) == brute_force(tokens.numpy(), -1)
        assert captured(after) == brute_force(output.numpy(), -1)

        with pytest.raises(TypeError, match="pre_states can capture one tensor, got tuple"):
            attention(tokens, tokens + 1, tokens + 1)


def test_capture_is_switched_off_and_on_without_losing_counts():
    network = ts.build_efficiency_model(TwoOfOne(), "Linear")
    network(inputs)
    for capture in network.efficiency_layers:
        capture.capture_on = False
    network(inputs)
    assert counts_by_name(network) == {"a_post_states": 50, "b_post_states": 50}

    network.efficiency_layers[0].capture_on = True
    network(inputs)
    assert counts_by_name(network) == {"a_post_states": 100, "b_post_states": 50}


@pytest.mark.parametrize("whole", [True, False])
def test_captures_attached_after_compiling_see_every_batch(whole):
    network = TwoOfOne().eval()
    compiled = torch.compile(network, backend="eager")
    expected = of_both(network, inputs)
    with torch.no_grad():
        compiled(inputs[:20])
        ts.build_efficiency_model(compiled if whole else network, ["ReLU", "Linear"])
        for batch in inputs.split([20, 20, 10]):
            compiled(batch)

    found = {capture.name: captured(capture) for capture in compiled.efficiency_layers}
    assert [found["relu_post_states"], found["relu_post_states_2"]] == expected


def test_where_compiled_layers_are_unseen_the_last_that_was_seen_proves_nothing():
    layers = [nn.Linear(6, 13), nn.Linear(13, 26), nn.Unflatten(1, (13, 2)), nn.ReLU()]
    network = ts.build_efficiency_model(nn.Sequential(*layers).eval(), ["0", "ReLU"])

    with torch.no_grad(), pytest.raises(ValueError, match="3_post_states cannot tell which axis"):
        torch.compile(network, backend="eager")(inputs)
    assert network.efficiency_layers[0].state_count == 50


def test_what_was_known_before_compiling_is_known_after_it():
    network = nn.Sequential(nn.Linear(3, 9), nn.GELU()).eval()
    ts.build_efficiency_model(network, "GELU")
    tokens = torch.randn(4, 5, 3)
    with torch.no_grad():
        network(tokens)
        torch.compile(network, backend="eager")(tokens)

    assert counts_by_name(network) == {"1_post_states": 40}


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_traces_are_told_of(caplog):
    network = nn.Sequential(nn.Sequential(nn.Linear(6, 4)), nn.ReLU()).eval()
    traced = torch.jit.trace(network, inputs)
    with pytest.raises(ValueError, match=r"0\.0 is inside of what torch.jit compiled, which calls"):
        ts.build_efficiency_model(traced, "0.0")

    ts.build_efficiency_model(network, "Linear")
    torch.jit.trace(network, inputs, check_trace=False)
    assert "Sequential is traced by torch.jit: what passes through the trace later is not" in (
        caplog.text
    )


def test_layers_that_nothing_passes_are_named_and_left_out(caplog):
    network = TwoOfOne()
    network.spare, network.reserve = nn.Linear(4, 2), nn.Linear(4, 2)
    ts.build_efficiency_model(network, "Linear")
    network(inputs)

    efficiencies = [capture.efficiency() for capture in network.efficiency_layers[:2]]
    assert ts.network_efficiency(network) == pytest.approx(np.sqrt(np.prod(efficiencies)))
    assert "no input passed through: spare_post_states, reserve_post_states" in caplog.text


def test_hooks_are_gone_with_the_captures_that_a_second_build_replaces():
    network = ts.build_efficiency_model(TwoOfOne(), "ReLU")
    ts.build_efficiency_model(network, "ReLU")

    assert len(network.relu._forward_hooks) == len(network.relu._forward_pre_hooks) == 1
    for handle in network.state_capture_hooks:
        handle.remove()
    assert not network.relu._forward_hooks
