"""Functions that a network calls between its layers, as activations."""

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import torch
from torch import nn

# functions whose arguments after the first are those of the module
_MODULES: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu6": nn.ReLU6, "elu": nn.ELU,
    "selu": nn.SELU, "celu": nn.CELU, "gelu": nn.GELU, "silu": nn.SiLU, "mish": nn.Mish,
    "leaky_relu": nn.LeakyReLU, "softplus": nn.Softplus, "hardtanh": nn.Hardtanh,
    "softsign": nn.Softsign, "hardsigmoid": nn.Hardsigmoid, "hardswish": nn.Hardswish,
    "special_expit": nn.Sigmoid, "log_sigmoid": nn.LogSigmoid, "hardshrink": nn.Hardshrink,
    "softshrink": nn.Softshrink, "tanhshrink": nn.Tanhshrink, "softmax": nn.Softmax,
    "softmin": nn.Softmin, "log_softmax": nn.LogSoftmax, "special_softmax": nn.Softmax,
    "special_log_softmax": nn.LogSoftmax,
}  # fmt: skip
_NOT_OF_THE_MODULE = frozenset({"input", "out", "dtype", "_stacklevel"})
_PROBES = 5


class Applied(nn.Module):
    """A function of a network's values, with its other arguments as they were.

    Attributes:
        label: the function's name.
    """

    def __init__(self, label: str, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.label = label
        self._function = function

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Apply the function to a copy, since it may work in place."""
        return self._function(values.clone())

    def extra_repr(self) -> str:
        """The name of the function."""
        return self.label


def as_activation(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], values: Any
) -> nn.Module | None:
    """The activation that a call of a function is.

    Any function is one that works on each value by itself, and is not affine; this is tried out.

    Args:
        function: what is called.
        args: with these.
        kwargs: and these.
        values: which of them are the network's values.

    Returns:
        The module of torch that does the same, or else an `Applied`; None if it is no activation.
    """
    name = function.__name__.removesuffix("_")
    if name in _MODULES and args and args[0] is values:
        options = {key: value for key, value in kwargs.items() if key not in _NOT_OF_THE_MODULE}
        return _MODULES[name](*args[1:], **options)
    if name in _MODULES and kwargs.get("input") is values:
        options = {key: value for key, value in kwargs.items() if key not in _NOT_OF_THE_MODULE}
        return _MODULES[name](**options)

    def apply(replacement: torch.Tensor) -> torch.Tensor:
        positional = (replacement if value is values else value for value in args)
        named = {key: replacement if value is values else value for key, value in kwargs.items()}
        return function(*positional, **named)

    if name == "prelu" and len(args) > 1:
        return _prelu(args[1])
    applied = Applied(name.strip("_"), apply)
    return applied if acts_on_each_value(applied, values) else None


def _prelu(weight: torch.Tensor) -> nn.PReLU:
    module = nn.PReLU(weight.numel())
    module.weight = weight if isinstance(weight, nn.Parameter) else nn.Parameter(weight.flatten())
    return module


def acts_on_each_value(
    function: Callable[[torch.Tensor], torch.Tensor], values: torch.Tensor
) -> bool:
    """Whether a function is elementwise, the same for each value, and not affine.

    Args:
        function: is tried out on a few values.
        values: of the shape, type and device that it is called with; these alone are looked at.
    """
    if not values.is_floating_point() or not values.numel():
        return False
    shape = (_PROBES, *values.shape[1:])
    probe = torch.linspace(-3, 3, prod(shape), dtype=values.dtype)
    order = torch.randperm(len(probe), generator=torch.Generator().manual_seed(0))
    other = probe[order]
    alone = other.clone()
    alone[0] = 2.5
    try:
        found, shuffled, one_changed, middle = (
            function(some.view(shape).to(values.device)).flatten().cpu()
            for some in (probe.clone(), other.clone(), alone.clone(), (probe + other) / 2)
        )
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError):
        return False
    if len(found) != len(probe) or not found.is_floating_point():
        return False
    mean = (found + found[order]) / 2
    return (
        torch.allclose(shuffled, found[order], equal_nan=True)
        and torch.allclose(one_changed[1:], shuffled[1:], equal_nan=True)
        and not torch.allclose(middle, mean, rtol=1e-3, atol=1e-3, equal_nan=True)
    )
