"""What is taken of a layer with positions, such as those of an image or of a sentence."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import IntArray, LayerOutput

Representation = str | Callable[[torch.Tensor], torch.Tensor]
POSITIONS = "positions"
KINDS = ("flatten", "mean", "first", POSITIONS)


def check_representation(given: Any, layer: LayerOutput) -> None:
    """See that a representation is one, and can be had of a layer.

    Raises:
        ConfigError: if it cannot.
    """
    if callable(given):
        return
    if given not in KINDS:
        raise ConfigError(
            f"representation is {given!r} for {layer.name}, should be one of "
            f"{', '.join(map(repr, KINDS))}, or a function"
        )
    if given != "flatten" and len(layer.shape) > 1 and layer.neuron_axis is None:
        raise ConfigError(
            f"representation is {given!r} for {layer.name}, but it cannot be told which axis of "
            f"its outputs, of the shape {layer.shape}, counts the neurons: say it as "
            f"channel_axis={{{layer.name!r}: -1}}, or another axis"
        )


def called(given: Representation) -> str:
    """How tables call a representation."""
    return given if isinstance(given, str) else getattr(given, "__name__", type(given).__name__)


def represented(
    outputs: torch.Tensor, layer: LayerOutput, given: Representation, mask: torch.Tensor | None
) -> torch.Tensor:
    """The representation of each example.

    Args:
        outputs: of a layer, shape (n_examples, *layer.shape).
        layer: which axis of that counts the neurons.
        given: "flatten": all there is; "mean" over the positions that count; "first": the first
            position, as that of a class token; "positions": each position that counts by itself;
            or a function of the outputs.
        mask: which positions count, shape (n_examples, ...), None for all. What does not count is 0
            where all is flattened.

    Returns:
        float32, shape (n_examples, n_units), sharing no memory with the outputs; a row for each
        position, example after example, where each is taken by itself.

    Raises:
        ConfigError: if a function gives something else than a row for each example.
    """
    if callable(given):
        return _by_function(outputs, layer, given)
    is_whole = given == "flatten" and mask is None
    # without an axis it is flattened, and a mask cannot be laid on
    if len(layer.shape) < 2 or is_whole or layer.neuron_axis is None:
        found = outputs.detach().to(torch.float32, copy=True)
        return found.flatten(1) if found.ndim > 1 else found[:, None]
    found = outputs.detach().float()
    axis = layer.neuron_axis % len(layer.shape) + 1
    by_position = found.movedim(axis, -1).flatten(1, -2)
    counts = _laid_on(mask, by_position)
    if given == "first":
        return by_position[:, 0].clone()
    if given == POSITIONS:
        return by_position.flatten(0, 1) if counts is None else by_position[counts]
    if counts is None:
        return by_position.mean(1) if given == "mean" else found.flatten(1).clone()
    kept = torch.where(counts[..., None], by_position, 0)
    return kept.sum(1) / counts.sum(1, keepdim=True) if given == "mean" else kept.flatten(1)


def examples_of_rows(
    layer: LayerOutput, given: Representation, mask: torch.Tensor | None, n_examples: int
) -> IntArray:
    """Which example each row of a representation is of, ascending, int64, shape (n_rows,)."""
    if given != POSITIONS or len(layer.shape) < 2:
        return np.arange(n_examples)
    counts = _laid_on(mask, torch.empty(n_examples, layer.n_positions))
    n_rows = layer.n_positions if counts is None else counts.sum(1).cpu().numpy()
    return np.repeat(np.arange(n_examples), n_rows)


def _laid_on(mask: torch.Tensor | None, by_position: torch.Tensor) -> torch.Tensor | None:
    """A mask of the positions of a layer, None if it is one of others."""
    if mask is None:
        return None
    counts = mask.flatten(1).to(by_position.device)
    return counts if counts.shape == by_position.shape[:2] else None


def _by_function(
    outputs: torch.Tensor, layer: LayerOutput, function: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    found = function(outputs.detach().clone())
    is_row = isinstance(found, torch.Tensor) and found.ndim and len(found) == len(outputs)
    if not is_row:
        shape = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
        raise ConfigError(
            f"representation of {layer.name} gave {shape} for {len(outputs)} examples, should give "
            "a tensor with a row for each"
        )
    return found.to(torch.float32).reshape(len(outputs), -1)
