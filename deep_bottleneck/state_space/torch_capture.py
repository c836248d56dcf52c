"""Probes for PyTorch: forward hooks that record and change nothing."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from deep_bottleneck.state_space.capture import AbstractStateCapture
from deep_bottleneck.state_space.matching import LayerMatcher, Method

# Whose outputs (and inputs) have the neurons last, whatever stands before them.
_NEURONS_LAST = (nn.Linear, nn.Bilinear, nn.Embedding, nn.LayerNorm, nn.RMSNorm)


class StateCaptureHook(AbstractStateCapture):
    """A forward hook or forward pre-hook that records the firing states of what passes by.

    Example:
        >>> capture = StateCaptureHook("hidden")
        >>> layer = torch.nn.Linear(3, 8)
        >>> handle = layer.register_forward_hook(capture)
        >>> _ = layer(torch.rand(5, 3))
        >>> capture.state_count
        5

    Args:
        name: what the capture is called, in messages and on disk.
        disk_path: a folder for the raw states, or None to keep counts only.
        channel_axis: the axis of the neurons.
        evaluation_only: whether to let what passes in training mode go unrecorded.
    """

    def __init__(
        self,
        name: str,
        disk_path: str | Path | None = None,
        channel_axis: int = 1,
        evaluation_only: bool = False,
    ) -> None:
        self.name = name
        self._evaluation_only = evaluation_only
        self._handle: RemovableHandle | None = None
        self._set_up_capture(disk_path, channel_axis)

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...], *outputs: Any) -> None:
        """Record the output of a forward hook, or the only input of a forward pre-hook."""
        if self._evaluation_only and module.training:
            return
        passing = outputs or inputs
        activations = passing[0] if len(passing) == 1 else passing
        record_outside_graph(self.record, activations)

    def attach(self, module: nn.Module, before: bool = False) -> None:
        """Start recording what comes out of a module, or goes into it."""
        self._handle = (
            module.register_forward_pre_hook(self) if before else module.register_forward_hook(self)
        )

    def remove(self) -> None:
        """Stop recording; what was captured stays."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None


def record_outside_graph(record: Callable[[Any], None], activations: Any) -> None:
    """Hand activations over, by a break of the graph where `torch.compile` is tracing one."""
    if torch.compiler.is_compiling():
        record = torch.compiler.disable(record)
    record(activations)


def attach_hooks(
    model: nn.Module,
    matcher: LayerMatcher,
    method: Method,
    disk_path: str | Path | None,
    evaluation_only: bool,
) -> None:
    """Attach a `StateCaptureHook` to each matching module, in place of those attached before.

    The captures are left in `model.efficiency_layers`, in the order of `model.named_modules()`.

    Args:
        model: the network, which is changed.
        matcher: which modules to attach to.
        method: at the input, the output or both.
        disk_path: a folder for the raw states, or None.
        evaluation_only: whether to record in evaluation mode only.

    Raises:
        ValueError: if a layer that was asked for does not exist.
    """
    modules = {name or type(model).__name__: module for name, module in model.named_modules()}
    matched = matcher.select({name: type(module) for name, module in modules.items()})
    _remove_hooks(getattr(model, "efficiency_layers", ()))
    captures: list[StateCaptureHook] = []
    for name in matched:
        module = modules[name]
        axis = -1 if isinstance(module, _NEURONS_LAST) else 1
        for before, capture_name in (
            *([(True, f"{name}_pre_states")] if method.before else []),
            *([(False, f"{name}_post_states")] if method.after else []),
        ):
            capture = StateCaptureHook(capture_name, disk_path, axis, evaluation_only)
            capture.attach(module, before)
            captures.append(capture)
    model.efficiency_layers = captures  # type: ignore[assignment]


def _remove_hooks(captures: Iterable[StateCaptureHook]) -> None:
    for capture in captures:
        capture.remove()
