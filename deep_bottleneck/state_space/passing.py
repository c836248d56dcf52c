"""Which of the tensors that go into a PyTorch module, or come out of it, is its activation?"""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from deep_bottleneck.state_space.capture import not_a_tensor


def incoming(
    name: str, module: nn.Module, inputs: tuple[Any, ...], keywords: Mapping[str, Any]
) -> torch.Tensor:
    """The one tensor that goes into a module: by position, or else by keyword.

    Args:
        name: of the capture, for messages.
        module: the module.
        inputs: what is handed over by position.
        keywords: what is handed over by keyword.

    Raises:
        TypeError: if it is none or several.
    """
    tensors = tensors_among(inputs) or _first_by_keyword(module, keywords)
    if len(tensors) == 1:
        return tensors[0]
    if not inputs:
        raise TypeError(
            f"{name} saw no tensor by position: if the input comes by keyword, place the capture "
            "by its attach(), or by build_efficiency_model"
        )
    raise TypeError(not_a_tensor(name, inputs))


def outgoing(name: str, output: Any) -> torch.Tensor:
    """The one tensor that comes out of a module, or the first of a tuple.

    The first is what PyTorch's recurrent layers, its attention and the blocks of transformers call
    their output, and others are states, weights or caches beside it.

    Args:
        name: of the capture, for messages.
        output: what comes out.

    Raises:
        TypeError: if it is neither.
    """
    first = first_tensor(output)
    if first is None:
        raise TypeError(not_a_tensor(name, output))
    return first


def first_tensor(output: Any) -> torch.Tensor | None:
    """A tensor, or the first of a tuple if that is one."""
    first = output[0] if isinstance(output, tuple) and output else output
    return first if isinstance(first, torch.Tensor) else None


def tensors_among(values: Iterable[Any]) -> list[torch.Tensor]:
    """The tensors among these values, one that is there several times once."""
    return list({id(value): value for value in values if isinstance(value, torch.Tensor)}.values())


def _first_by_keyword(module: nn.Module, keywords: Mapping[str, Any]) -> list[torch.Tensor]:
    order = inspect.signature(module.forward).parameters
    named = (keywords[name] for name in order if name in keywords)
    return tensors_among(named)[:1]
