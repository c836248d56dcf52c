"""Recordings small enough to read, for estimators that look at one before they estimate."""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Recording:
    """Layers of runs by epoch: `layers[epoch][layer]`, shape (runs, n_examples, n_units).

    The runs are numbered from 0, except at epochs of which `numbers` says other ones.
    """

    layers: dict[int, list[np.ndarray]] = field(default_factory=dict)
    labels: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    examples: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    numbers: dict[int, list[int]] = field(default_factory=dict)

    @property
    def epochs(self):
        return tuple(self.layers)

    @property
    def n_layers(self):
        return len(next(iter(self.layers.values()), []))

    @property
    def layer_names(self):
        return [""] * self.n_layers

    def runs(self, epoch):
        return np.array(self.numbers.get(epoch, range(len(self.layers[epoch][0]))))

    def layer(self, epoch, layer):
        return self.layers[epoch][layer]


def of_layer(activations: np.ndarray, labels: np.ndarray) -> Recording:
    """One layer at one epoch, whose first run is the identity of its inputs."""
    return Recording({0: [activations]}, labels, activations[0])
