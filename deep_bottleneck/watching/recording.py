"""Representations that are kept while a network trains, to compare layers and epochs later."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import FloatArray, IntArray
from deep_bottleneck.watching.data import WatchedData
from deep_bottleneck.watching.group import WatchedGroup

# of so many examples: similarity of layers is that of their examples' geometry
MOST_EXAMPLES = 256


class Recording:
    """What was recorded of some of the examples, in memory: an `Activations` of all runs.

    Attributes:
        labels: the label of each example, shape (n_examples,).
        examples: the inputs, flattened.
        layer_names: what each layer is called.
        epochs: the recorded epochs, ascending.
    """

    def __init__(self, data: WatchedData, group: WatchedGroup, seed: int) -> None:
        """Choose the examples, always the same of the same seed."""
        few = data.few(MOST_EXAMPLES, seed)
        self._watched = few.examples
        self._runs = np.array(group.runs, np.int64)
        self._layers: dict[int, list[FloatArray]] = {}
        self.labels = few.labels
        self.examples = few.examples.flat()
        self.layer_names: Sequence[str] = [output.name for output in group.layer_outputs]

    @property
    def epochs(self) -> list[int]:
        """The recorded epochs, ascending."""
        return sorted(self._layers)

    @property
    def n_layers(self) -> int:
        """How many layers are recorded."""
        return len(self.layer_names)

    def record(self, epoch: int, group: WatchedGroup) -> None:
        """Keep what each layer makes of the examples."""
        layers = group.representations(self._watched)
        self._layers[epoch] = [layer.cpu().numpy() for layer in layers]

    def forget(self, epoch: int) -> None:
        """Keep nothing of an epoch."""
        self._layers.pop(epoch, None)

    def runs(self, epoch: int) -> IntArray:
        """All runs."""
        return self._runs

    def layer(self, epoch: int, layer: int) -> FloatArray:
        """The representation of a layer, shape (runs, n_examples, n_units)."""
        return self._layers[epoch][layer]

    def state(self) -> dict[str, Any]:
        """What was recorded so far."""
        return {"layers": {epoch: list(layers) for epoch, layers in self._layers.items()}}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on with what was recorded before.

        Raises:
            ConfigError: if that was of other layers.
        """
        layers = {int(epoch): list(layers) for epoch, layers in state["layers"].items()}
        if any(len(of_epoch) != self.n_layers for of_epoch in layers.values()):
            raise ConfigError("the state is of a watch of other layers")
        self._layers = layers
