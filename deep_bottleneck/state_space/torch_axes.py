"""Where the neurons are in what the modules of a PyTorch network hand on to each other."""

import threading
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.parameter import is_lazy
from torch.utils.weak import WeakIdKeyDictionary

from deep_bottleneck.state_space.axes import Neurons, axis_carried_on, axis_of_weights

_OWN = "torch.nn.modules."
_NEURONS_LAST = (
    nn.Linear,
    nn.Bilinear,
    nn.Embedding,
    nn.EmbeddingBag,
    nn.RNNBase,
    nn.MultiheadAttention,
)
_NEURONS_SECOND = (_BatchNorm, nn.GroupNorm)
# What modules without parameters, such as quantised ones, say of their weights.
_LENGTHS = ("in_features", "out_features", "in_channels", "out_channels", "num_features")


class Trail:
    """What is known of the activations in one pass through a network, from first module to last.

    A pass begins with the outermost module that is called, and ends with it. Threads that run the
    same network have a pass each; a copy of a trail is an empty one.

    Attributes:
        is_whole: whether all modules are seen; those that `torch.compile` compiles are not, so that
            the last that was seen need not be the one before.
    """

    def __init__(self) -> None:
        self._of_thread = threading.local()
        self.is_whole = True

    def __reduce__(self) -> tuple[type["Trail"], tuple[()]]:
        return Trail, ()

    @property
    def is_open(self) -> bool:
        """Whether a pass is going on."""
        return getattr(self._of_thread, "outermost", None) is not None

    def enter(self, module: nn.Module) -> None:
        """Begin a pass, unless one is going on."""
        if not self.is_open:
            self._of_thread.outermost = module
            self._of_thread.known = WeakIdKeyDictionary()
            self._of_thread.last = None
            self._of_thread.calls = Counter()

    def leave(self, module: nn.Module) -> None:
        """End the pass if it began with this module."""
        if self.is_open and self._of_thread.outermost is module:
            self._of_thread.outermost = None

    def count(self, place: Hashable) -> int:
        """How often the pass came by a place before, 0 where none is going on."""
        if not self.is_open:
            return 0
        self._of_thread.calls[place] += 1
        return int(self._of_thread.calls[place]) - 1

    def remember(self, activations: torch.Tensor, axis: int | None) -> None:
        """Keep for what comes after where the neurons of activations are, if that is known."""
        if self.is_open and axis is not None:
            neurons = Neurons(tuple(activations.shape), axis)
            self._of_thread.known[activations] = neurons
            self._of_thread.last = neurons

    def axis_at(
        self, module: nn.Module, activations: torch.Tensor, inputs: Iterable[torch.Tensor] = ()
    ) -> int | None:
        """The axis of the neurons in what goes into a module or comes out, if it can be known.

        Args:
            module: the module.
            activations: what goes in or comes out.
            inputs: what went in, where it comes out.
        """
        shape = tuple(activations.shape)
        if neurons := self._neurons_of(activations):
            return neurons.axis
        if (axis := _axis_of_kind(module, len(shape))) is not None:
            return axis
        before = [neurons for each in inputs if (neurons := self._neurons_of(each))]
        in_order = bool(before) and _leaves_axes_in_order(module)
        if not before and self.is_open and self.is_whole and self._of_thread.last:
            before = [self._of_thread.last]
        carried = axis_carried_on(shape, before, in_order)
        axis = axis_of_weights(shape, set(_lengths(module)), carried)
        has_batch = all(each.axis != -len(each.shape) for each in before)
        return -1 if axis is None and len(shape) == 2 and has_batch else axis

    def _neurons_of(self, activations: torch.Tensor) -> Neurons | None:
        neurons = self._of_thread.known.get(activations) if self.is_open else None
        return neurons if neurons and neurons.shape == tuple(activations.shape) else None


def _axis_of_kind(module: nn.Module, n_axes: int) -> int | None:
    """The axis of the neurons before and after one of PyTorch's own layers."""
    if _is(module, _NEURONS_LAST):
        return -1
    if _is(module, (nn.LayerNorm, nn.RMSNorm)) and len(module.normalized_shape) == 1:  # type: ignore[arg-type]
        return -1
    if _is(module, (_ConvNd,)):
        return -1 - len(module.kernel_size)  # type: ignore[arg-type]
    if _is(module, _NEURONS_SECOND):
        return 1 - n_axes
    return None


def _is(module: nn.Module, kinds: tuple[type[nn.Module], ...]) -> bool:
    """Whether it is of one of these kinds, and computes as they do."""
    if not isinstance(module, kinds):
        return False
    lineage: list[Any] = [kind for kind in type(module).__mro__ if issubclass(kind, nn.Module)]
    own = next(kind for kind in lineage if kind.__module__.startswith(_OWN))
    return lineage[0].forward is own.forward


def _leaves_axes_in_order(module: nn.Module) -> bool:
    """Whether it is one of PyTorch's own modules, none of which turns axes round."""
    own = type(module).__module__.startswith(_OWN)
    return own and not any(module.children())


def _lengths(module: nn.Module) -> Iterator[int]:
    for parameter in module.parameters():
        if not is_lazy(parameter):
            yield from parameter.shape
    for name in _LENGTHS:
        length: Any = getattr(module, name, None)
        if isinstance(length, int):
            yield length
