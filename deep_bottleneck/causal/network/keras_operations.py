"""What the operations of a Keras model that are no layers of its own do with their values."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import torch
from torch import nn

from deep_bottleneck.causal.network.applied import Applied, acts_on_each_value

# by the names of their classes, in small letters
_MODULES: dict[str, Callable[[Any], nn.Module]] = {
    "relu": lambda _: nn.ReLU(), "relu6": lambda _: nn.ReLU6(), "sigmoid": lambda _: nn.Sigmoid(),
    "tanh": lambda _: nn.Tanh(), "selu": lambda _: nn.SELU(), "silu": lambda _: nn.SiLU(),
    "softplus": lambda _: nn.Softplus(), "softsign": lambda _: nn.Softsign(),
    "hardsigmoid": lambda _: nn.Hardsigmoid(), "elu": lambda op: nn.ELU(op.alpha),
    "gelu": lambda op: nn.GELU("tanh" if op.approximate else "none"),
    "leakyrelu": lambda op: nn.LeakyReLU(op.negative_slope),
    "softmax": lambda op: nn.Softmax(dim=op.axis),
    "logsoftmax": lambda op: nn.LogSoftmax(dim=op.axis),
}  # fmt: skip
RESHAPING = frozenset({"Reshape", "Squeeze", "ExpandDims", "Ravel"})
REORDERING = frozenset({"Transpose", "Moveaxis", "Swapaxes", "Permute", "Flip", "Roll", "Rot90"})
SELECTING = frozenset({
    "GetItem", "Split", "Stack", "Hstack", "Vstack", "Concatenate", "Take", "TakeAlongAxis",
    "Repeat", "Tile", "BroadcastTo", "Mean", "Median", "Max", "Min",
})  # fmt: skip


def activation_of_call(operation: Any, node: Any) -> nn.Module | None:
    """The activation that a call of an operation is.

    As in PyTorch, any is one that works on each value by itself, and is not affine.

    Args:
        operation: a function of Keras, or a layer of a user's own that has no weights.
        node: its call in the graph.

    Returns:
        The module of torch that does the same, or else an `Applied`; None if it is no activation.
    """
    if len(node.input_tensors) != 1:
        return None
    (tensor,) = node.input_tensors
    name = type(operation).__name__.lower()
    if is_of_keras(operation) and name in _MODULES and not _is_bounded(operation):
        return _MODULES[name](operation)

    def called(given: Any) -> Any:
        positional, named = node.arguments.fill_in({id(tensor): given})
        return operation(*positional, **named)

    applied = by_keras(called, operation.name)
    probed = torch.zeros([size or 1 for size in tensor.shape])
    return applied if acts_on_each_value(applied, probed) else None


def by_keras(function: Callable[[Any], Any], label: str) -> Applied:
    """A function of Keras, of whatever backend, as an activation."""

    def apply(values: torch.Tensor) -> torch.Tensor:
        given = keras.ops.convert_to_tensor(values.cpu().numpy())
        found = torch.from_numpy(np.array(keras.ops.convert_to_numpy(function(given))))
        return found.to(values) if found.is_floating_point() else found

    return Applied(label, apply)


def is_of_keras(operation: Any) -> bool:
    """Whether the class of an operation is one of Keras' own."""
    return type(operation).__module__.startswith("keras.")


def _is_bounded(operation: Any) -> bool:
    """Whether it is a ReLU that has a slope, a threshold or a largest value."""
    settings = (getattr(operation, name, 0) for name in ("negative_slope", "threshold"))
    is_relu = type(operation).__name__ == "ReLU"
    return is_relu and (any(settings) or operation.max_value is not None)
