"""The modules of a network that count as layers."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.utils import parametrize

Part = Literal["query", "key", "value"]
PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True)
class Projection:
    """One of the three linear layers inside attention that are no modules of their own.

    Two of the same attention and part are equal, so that one made by hand finds the node of a
    topology.

    Attributes:
        attention: the module.
        part: which of them. The fourth is its module `out_proj`.
    """

    attention: nn.MultiheadAttention
    part: Part

    def __str__(self) -> str:
        return f"the {self.part} projection of {self.attention}"

    def linear(self) -> nn.Linear:
        """The projection as a layer that shares the attention's weights."""
        attention, index = self.attention, PARTS.index(self.part)
        if attention._qkv_same_embed_dim:
            weight = attention.in_proj_weight.chunk(3)[index]
        else:
            weight = getattr(attention, f"{self.part[0]}_proj_weight")
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
        layer.weight = nn.Parameter(weight.detach())
        if attention.in_proj_bias is not None:
            layer.bias = nn.Parameter(attention.in_proj_bias.detach().chunk(3)[index])
        return layer.train(attention.training)


def modules_of(model: nn.Module) -> list[nn.Module]:
    """The modules without children, and attention as a whole.

    What computes a parameter of a module, such as weight normalisation, is no child of it.

    Raises:
        ValueError: if a module has no weights yet.
    """
    found = list(dict.fromkeys(_leaves(model)))
    for module in found:
        if isinstance(module, LazyModuleMixin) and module.has_uninitialized_params():
            raise ValueError(f"{module} has no weights yet: run the network once on an input")
    return found


def is_packed(module: nn.Module) -> bool:
    """Whether a quantised module keeps its weights out of sight, behind a method of that name."""
    # looked up without computing it: what parametrises a weight may change as it is computed
    return inspect.isfunction(inspect.getattr_static(module, "weight", None))


def _leaves(module: nn.Module) -> Iterator[nn.Module]:
    children = dict(module.named_children())
    if parametrize.is_parametrized(module):
        del children["parametrizations"]
    if not children or is_packed(module) or isinstance(module, nn.MultiheadAttention):
        yield module
    else:
        for child in children.values():
            yield from _leaves(child)


def tensors_in(values: Any) -> list[torch.Tensor]:
    """The tensors in nested tuples, lists and dictionaries."""
    if isinstance(values, torch.Tensor):
        return [values]
    if isinstance(values, dict):
        values = values.values()
    elif not isinstance(values, tuple | list):
        return []
    return [tensor for value in values for tensor in tensors_in(value)]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients, and afterwards each module's own mode again."""
    training = {module: module.training for module in model.modules()}
    try:
        model.eval()
        with torch.no_grad():
            yield
    finally:
        for module, mode in training.items():
            module.training = mode
