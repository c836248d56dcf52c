"""Captures at the layers of a PyTorch network, each call of a layer a place of its own."""

import logging
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from deep_bottleneck.state_space.axes import ChosenAxes
from deep_bottleneck.state_space.locking import CopyableLock
from deep_bottleneck.state_space.matching import LayerMatcher, Method
from deep_bottleneck.state_space.passing import first_tensor, incoming, outgoing, tensors_among
from deep_bottleneck.state_space.torch_axes import Trail
from deep_bottleneck.state_space.torch_capture import StateCaptureHook, outside_graph

logger = logging.getLogger(__name__)


class _Place:
    """One side of a layer, with a capture for each of its calls in a pass.

    Args:
        first: the capture of the first call.
        captures: those of the whole network, to which the captures of further calls are added.
    """

    def __init__(self, first: StateCaptureHook, captures: list[StateCaptureHook]) -> None:
        self._of_calls = [first]
        self._captures = captures
        self._lock = CopyableLock()

    def capture(self, trail: Trail) -> StateCaptureHook:
        """The capture of the call that the pass has come to."""
        call = trail.count(id(self))
        with self._lock:
            if call == len(self._of_calls):
                first, last = self._of_calls[0], self._of_calls[-1]
                capture = first.sibling(f"{first.name}_{call + 1}")
                self._of_calls.append(capture)
                self._captures.insert(self._captures.index(last) + 1, capture)
                logger.info("%s captures a layer that is called again in a pass", capture.name)
        return self._of_calls[call]


class _Watch:
    """The hooks at one module: they keep the trail, and capture where that was asked for."""

    def __init__(
        self, trail: Trail, is_root: bool, before: _Place | None, after: _Place | None
    ) -> None:
        self._trail = trail
        self._is_root = is_root
        self._before = before
        self._after = after

    def attach(self, module: nn.Module) -> list[Any]:
        """Register the hooks, and return what removes them."""
        return [
            module.register_forward_pre_hook(self.enter, with_kwargs=True),
            module.register_forward_hook(self.leave, with_kwargs=True, always_call=True),
        ]

    def enter(self, module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        """What happens before the module computes."""
        if not torch.compiler.is_compiling():
            self._enter(module, inputs, keywords)
        elif self._is_root or self._before is not None:
            outside_graph(self._enter)(module, inputs, keywords)

    def leave(
        self, module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any], output: Any
    ) -> None:
        """What happens after the module has computed, or failed."""
        if not torch.compiler.is_compiling():
            self._leave(module, inputs, keywords, output)
            return
        self._trail.is_whole = False
        if self._is_root or self._after is not None:
            outside_graph(self._leave)(module, inputs, keywords, output)

    def _enter(self, module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        if self._is_root and torch.jit.is_tracing():  # type: ignore[attr-defined]
            logger.warning(
                "%s is traced by torch.jit: what passes through the trace later is not captured",
                type(module).__name__,
            )
        self._trail.enter(module)
        if self._before is not None:
            capture = self._before.capture(self._trail)
            activations = incoming(capture.name, module, inputs, keywords)
            self._trail.remember(activations, capture.observe(module, activations, (), self._trail))

    def _leave(
        self, module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any], output: Any
    ) -> None:
        try:
            if output is not None:  # as it is where the module has failed
                self._after_module(module, tensors_among([*inputs, *keywords.values()]), output)
        finally:
            self._trail.leave(module)

    def _after_module(self, module: nn.Module, inputs: list[torch.Tensor], output: Any) -> None:
        if self._after is not None:
            capture = self._after.capture(self._trail)
            activations = outgoing(capture.name, output)
            axis = capture.observe(module, activations, inputs, self._trail)
            self._trail.remember(activations, axis)
        elif (first := first_tensor(output)) is not None:
            self._trail.remember(first, self._trail.axis_at(module, first, inputs))


def attach_captures(
    model: nn.Module,
    matcher: LayerMatcher,
    method: Method,
    axes: ChosenAxes,
    disk_path: str | Path | None,
    evaluation_only: bool,
) -> None:
    """Attach a `StateCaptureHook` to each matching module, in place of those attached before.

    The captures are left in `model.efficiency_layers`, in the order of `model.named_modules()`, and
    what removes their hooks in `model.state_capture_hooks`. What `torch.compile` has compiled so
    far in this process is compiled again when it is next called, since it would pass hooks by.

    Args:
        model: the network, which is changed.
        matcher: which modules to attach to.
        method: at the input, the output or both.
        axes: the axes of the neurons that the user named.
        disk_path: a folder for the raw states, or None.
        evaluation_only: whether to record in evaluation mode only.

    Raises:
        ValueError: if a layer that was asked for does not exist, or is inside of what `torch.jit`
            compiled, which calls no hooks.
    """
    model = getattr(model, "_orig_mod", model)
    modules = {name or type(model).__name__: module for name, module in model.named_modules()}
    kinds = {name: type(module) for name, module in modules.items()}
    matched = matcher.select(kinds)
    axes.check(kinds)
    _check_that_hooks_are_called(model, matched)
    for handle in getattr(model, "state_capture_hooks", ()):
        handle.remove()

    trail = Trail()
    captures: list[StateCaptureHook] = []
    handles: list[Any] = []

    def place(name: str, side: str) -> _Place:
        axis = axes.of(name, kinds[name])
        captures.append(StateCaptureHook(f"{name}_{side}", disk_path, axis, evaluation_only))
        return _Place(captures[-1], captures)

    for name, module in modules.items():
        before = place(name, "pre_states") if name in matched and method.before else None
        after = place(name, "post_states") if name in matched and method.after else None
        handles += _Watch(trail, module is model, before, after).attach(module)
    model.efficiency_layers = captures
    model.state_capture_hooks = handles
    if "torch._dynamo" in sys.modules:
        torch.compiler.reset()


def _check_that_hooks_are_called(model: nn.Module, names: Iterable[str]) -> None:
    compiled = [
        name for name, module in model.named_modules() if isinstance(module, torch.jit.ScriptModule)
    ]
    for name in names:
        of_all = "" in compiled and name != type(model).__name__
        if of_all or any(outer and name.startswith(f"{outer}.") for outer in compiled):
            raise ValueError(
                f"{name} is inside of what torch.jit compiled, which calls no hooks: attach to the "
                "network before it is traced or scripted, and run that one"
            )
