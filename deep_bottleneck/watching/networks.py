"""A network as the watch sees it: places that give outputs, whoever made it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch

from deep_bottleneck.interfaces import FloatArray, LayerOutput
from deep_bottleneck.watching.data import Examples

Take = Callable[[torch.Tensor], torch.Tensor]
"""Takes of a place's outputs, shape (n_examples, *shape), what is wanted, and shares no memory."""
Loss = Callable[[Any, torch.Tensor | None], torch.Tensor]
"""Of what a network gives, and the labels as they were given, None where there are none."""


@dataclass(frozen=True)
class Choice:
    """What of networks to watch.

    Attributes:
        layers: which places; None for all with weights of their own.
        activations: whether to take what the activation after a place gives.
        channel_axis: which axis of outputs counts the neurons, where it cannot be told.
        batch_size: how many examples a network gets at a time, None for its kind's own.
        loss: what gradients are of.
    """

    layers: Any = None
    activations: bool = False
    channel_axis: Any = None
    batch_size: int | None = None
    loss: Loss | None = None


class Place(NamedTuple):
    """One call of a layer.

    Attributes:
        output: its name, and the shape of what it gives.
        layer: the layer.
    """

    output: LayerOutput
    layer: Any


class Network(Protocol):
    """A network whose places can be read."""

    @property
    def model(self) -> Any:
        """The user's own."""
        ...

    @property
    def places(self) -> Sequence[Place]:
        """Those that are watched, in the order of their calls."""
        ...

    @property
    def batch_size(self) -> int:
        """How many examples it gets at a time."""
        ...

    @property
    def device(self) -> torch.device:
        """Where its outputs are."""
        ...

    @property
    def example(self) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """Inputs to run it with, by place and by keyword; none where it knows their shapes."""
        ...

    def read(self, examples: Examples, wanted: Mapping[int, Take]) -> dict[int, torch.Tensor]:
        """What is wanted of some places, by their number, for a batch of examples.

        Raises:
            ConfigError: if a place is not reached, or gives something else than before.
        """
        ...

    def kernels(self) -> list[FloatArray]:
        """The weights of each place that connect units, flattened."""
        ...

    def gradients(self) -> Iterator[list[FloatArray]]:
        """The gradients of those, batch by batch."""
        ...
