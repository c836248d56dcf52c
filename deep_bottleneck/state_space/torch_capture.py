"""Probes for PyTorch: forward hooks that record and change nothing."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from deep_bottleneck.state_space.axes import question
from deep_bottleneck.state_space.capture import AbstractStateCapture
from deep_bottleneck.state_space.passing import incoming, outgoing
from deep_bottleneck.state_space.torch_axes import Trail


class StateCaptureHook(AbstractStateCapture):
    """A forward hook or forward pre-hook that records the firing states of what passes by.

    Placed by hand it knows the module that it is attached to, and nothing of what came before: it
    finds the neurons of a layer with weights, and at others, such as an activation function that is
    given images or tokens, it asks for `channel_axis`. `build_efficiency_model` knows more.

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
        channel_axis: the axis of the neurons, or None to find it by the module.
        evaluation_only: whether to let what passes in training mode go unrecorded.
        kwargs: passed on to the next class that a subclass inherits from.
    """

    def __init__(
        self,
        name: str,
        disk_path: str | Path | None = None,
        channel_axis: int | None = None,
        evaluation_only: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(name, disk_path, channel_axis=channel_axis, **kwargs)
        self._evaluation_only = evaluation_only
        self._known_axes: dict[int, int] = {}
        self._handle: RemovableHandle | None = None

    def attach(self, module: nn.Module, before: bool = False) -> None:
        """Start recording what comes out of a module, or goes into it by position or keyword."""
        self._handle = (
            module.register_forward_pre_hook(self._record_input, with_kwargs=True)
            if before
            else module.register_forward_hook(self)
        )

    def remove(self) -> None:
        """Stop recording; what was captured stays."""
        self.capture_on = False
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def __call__(self, module: nn.Module, inputs: tuple[Any, ...], *outputs: Any) -> None:
        """Record the output of a forward hook, or the only input of a forward pre-hook."""
        outside_graph(self._record_hooked)(module, inputs, {}, *outputs)

    def observe(
        self,
        module: nn.Module,
        activations: torch.Tensor,
        inputs: Iterable[torch.Tensor],
        trail: Trail,
    ) -> int:
        """Record what passes by at a module, and find out where its neurons are.

        Args:
            module: the module.
            activations: what passes by.
            inputs: what went into the module, where that comes out of it.
            trail: what is known of what came before.

        Returns:
            The axis of the neurons, counted from the last.

        Raises:
            ValueError: if it cannot be known.
        """
        axis = self._channel_axis
        if axis is None:
            # once known, it stays, whatever the length of another batch
            axis = self._known_axes.get(activations.ndim)
        if axis is None:
            axis = trail.axis_at(module, activations, inputs)
            if axis is None:
                kind = type(module).__name__
                raise ValueError(question(self.name, kind, tuple(activations.shape)))
            self._known_axes[activations.ndim] = axis
        if not (self._evaluation_only and module.training):
            self.record(activations, axis)
        return axis if axis < 0 else axis - activations.ndim

    def sibling(self, name: str) -> "StateCaptureHook":
        """Another capture with the same settings."""
        return StateCaptureHook(name, self._disk_path, self._channel_axis, self._evaluation_only)

    def _record_input(
        self, module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any]
    ) -> None:
        outside_graph(self._record_hooked)(module, inputs, keywords)

    def _record_hooked(
        self,
        module: nn.Module,
        inputs: tuple[Any, ...],
        keywords: dict[str, Any],
        *outputs: Any,
    ) -> None:
        if outputs:
            activations = outgoing(self.name, outputs[0])
        else:
            activations = incoming(self.name, module, inputs, keywords)
        self.observe(module, activations, (), Trail())


def outside_graph(function: Callable[..., None]) -> Callable[..., None]:
    """The function, called by a break of the graph where `torch.compile` is tracing one."""
    disabled: Callable[..., None] = torch.compiler.disable(function)
    return disabled if torch.compiler.is_compiling() else function
