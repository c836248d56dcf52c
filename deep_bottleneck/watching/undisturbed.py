"""A network is looked at, and its training goes on as if nobody had looked."""

import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager

import numpy as np
import torch
from torch import nn

from deep_bottleneck.causal.network.modules import evaluating

_CAST = ("cpu", "cuda")


@contextmanager
def undisturbed(models: Sequence[nn.Module]) -> Iterator[None]:
    """Evaluation mode without gradients and autocast; afterwards all is as it was.

    Each module's own mode, buffers, the random states of Python, NumPy and PyTorch, and whether
    gradients are computed. What `torch.compile` has compiled runs as it was written meanwhile.
    """
    with ExitStack() as stack:
        stack.enter_context(random_states(models))
        if "torch._dynamo" in sys.modules:
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        for kind in filter(torch.is_autocast_enabled, _CAST):
            stack.enter_context(torch.autocast(kind, enabled=False))
        for model in models:
            stack.enter_context(_buffers(model))
            stack.enter_context(evaluating(model))
        yield


@contextmanager
def random_states(models: Sequence[nn.Module] = ()) -> Iterator[None]:
    """The random states of Python, NumPy and PyTorch, also on the models' GPUs, put back after."""
    cards = {p.device.index for model in models for p in model.parameters() if p.is_cuda}
    of_python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices=sorted(cards)):
            yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)  # noqa: NPY002


def casting() -> Callable[[], AbstractContextManager[None]]:
    """Autocast as it is now, to be entered later.

    There no weights that were cast without gradients are left for training.
    """
    kinds = filter(torch.is_autocast_enabled, _CAST)
    dtypes = {kind: torch.get_autocast_dtype(kind) for kind in kinds}

    @contextmanager
    def cast() -> Iterator[None]:
        with ExitStack() as stack:
            for kind, dtype in dtypes.items():
                stack.enter_context(torch.autocast(kind, dtype, cache_enabled=False))
            yield

    return cast


@contextmanager
def _buffers(model: nn.Module) -> Iterator[None]:
    """What a forward pass changes in buffers also in evaluation mode, put back after."""
    held = [
        (
            module,
            dict(module._buffers),
            {n: b.clone() for n, b in _tensors(module)},
            _versions(module),
        )
        for module in model.modules()
        if module._buffers
    ]
    try:
        yield
    finally:
        for module, buffers, values, versions in held:
            module._buffers.clear()
            module._buffers.update(buffers)
            changed = _versions(module)
            with torch.no_grad():
                for name, before in values.items():
                    if changed[name] != versions[name]:
                        buffers[name].copy_(before)  # type: ignore[union-attr]


def _tensors(module: nn.Module) -> list[tuple[str, torch.Tensor]]:
    return [(name, buffer) for name, buffer in module._buffers.items() if buffer is not None]


def _versions(module: nn.Module) -> dict[str, int]:
    """How often each buffer was changed in place."""
    return {name: buffer._version for name, buffer in _tensors(module)}
