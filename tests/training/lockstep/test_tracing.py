import keras
import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from deep_bottleneck.training.lockstep.tracing import drop_idle, fold_constants, vectorised

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="needs the torch backend"
)


def operations(traced):
    return [str(node.target) for node in traced.graph.nodes if node.op == "call_function"]


def test_a_function_of_one_run_is_one_of_all_runs():
    def scaled(weights, factor):
        return weights.sum() * factor

    stacked, factor = torch.arange(6.0).view(3, 2), torch.tensor(2.0)
    traced = vectorised(scaled, (stacked, factor), n_stacked=1)

    assert traced(stacked, factor).tolist() == [2.0, 10.0, 18.0]
    assert traced(stacked + 1, factor).tolist() == [6.0, 14.0, 22.0]


def test_what_depends_on_no_argument_is_computed_once():
    def function(weights):
        return weights * (torch.as_tensor(3.0) + 1) + torch.ones(2).sum()

    traced = vectorised(function, (torch.ones(4, 2),), n_stacked=1)

    assert operations(traced) == ["aten.mul.Tensor", "aten.add.Tensor"]
    torch.testing.assert_close(traced(torch.ones(4, 2)), torch.full((4, 2), 6.0))


def test_what_changes_no_shape_and_what_nobody_uses_is_left_out():
    def layer(weights, examples):
        weights.sum()
        return torch.tanh(examples @ weights)

    stacked, examples = torch.randn(3, 4, 2), torch.randn(6, 4)
    traced = vectorised(layer, (stacked, examples), n_stacked=1)

    assert operations(traced) == ["aten.expand.default", "aten.bmm.default", "aten.tanh.default"]
    torch.testing.assert_close(traced(stacked, examples), torch.tanh(examples @ stacked))


def test_a_function_may_use_values_from_outside():
    outside = torch.arange(4.0)

    def function(weights):
        return weights * outside.view(4) + torch.tensor([1.0, 2.0]).view(2).expand(2).sum()

    traced = vectorised(function, (torch.ones(3, 4),), n_stacked=1)

    torch.testing.assert_close(traced(torch.ones(3, 4)), (outside + 3).expand(3, 4))


def test_a_change_of_shape_or_strides_is_kept():
    def function(values):
        columns = values.expand(2, 3)
        return columns.view(3, 2), columns.expand(2, 3).view(2, 3)

    values = torch.arange(6.0).view(2, 3)
    traced = make_fx(function)(values)
    drop_idle(traced)

    assert operations(traced) == ["aten.view.default"]
    reshaped, same = traced(values)
    assert reshaped.tolist() == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
    assert same is values


@pytest.mark.parametrize(
    "function",
    [
        lambda values: torch.zeros(2).add_(1) + values,
        lambda values: torch.zeros(2).add_(values),
        lambda values: torch.rand(2) + values,
    ],
    ids=["written into", "written into from outside", "drawn at random"],
)
def test_what_changes_from_call_to_call_is_not_folded(function):
    traced = make_fx(function)(torch.ones(2))
    before = operations(traced)

    fold_constants(traced)

    assert operations(traced) == before


def test_a_written_value_starts_anew_each_time():
    def function(values):
        return torch.zeros(2).add_(values)

    traced = make_fx(function)(torch.ones(2))
    fold_constants(traced)

    assert traced(torch.ones(2)).tolist() == traced(torch.ones(2)).tolist() == [1.0, 1.0]
