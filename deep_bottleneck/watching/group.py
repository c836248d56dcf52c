"""Somebody's networks as a group of runs, for the recorders of the experiment."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import FloatArray, IntArray, LayerOutput
from deep_bottleneck.watching.data import Examples
from deep_bottleneck.watching.networks import Network, Take
from deep_bottleneck.watching.representation import (
    Representation,
    examples_of_rows,
    represented,
)

# of representations that are held together; a layer that takes more is held alone
MOST_BYTES = 2**30
_FLOAT = 4


class WatchedGroup:
    """Networks of one architecture, each a run.

    Attributes:
        networks: the networks.
        layer_outputs: name and shape of what each place gives.
        runs: the numbers of the networks.
        models: the user's models.
    """

    def __init__(self, networks: Sequence[Network], chosen: Mapping[str, Representation]) -> None:
        """See that they are of one architecture.

        Args:
            networks: the networks.
            chosen: the representation of each layer by its name.

        Raises:
            ConfigError: if they have different places.
        """
        self.networks = networks
        self.layer_outputs = [place.output for place in networks[0].places]
        self.runs = list(range(len(networks)))
        self.models: list[Any] = [network.model for network in networks]
        self._chosen = [chosen[output.name] for output in self.layer_outputs]
        for run, network in enumerate(networks):
            different = {
                (ours, place.output)
                for ours, place in zip(self.layer_outputs, network.places, strict=False)
                if ours != place.output
            }
            if different or len(network.places) != len(self.layer_outputs):
                ours, theirs = next(iter(different), ("other layers", "these"))
                raise ConfigError(
                    f"the networks of a watch are of one architecture, but network {run} has "
                    f"{theirs} where network 0 has {ours}; watch it by itself"
                )

    def example(self, row: int) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """Inputs to run a network with, by place and by keyword; none if it knows their shapes."""
        return self.networks[row].example

    def layers(self, row: int) -> list[Any]:
        """The layer of each place in a network."""
        return [place.layer for place in self.networks[row].places]

    def representations(self, examples: Examples) -> Iterator[torch.Tensor]:
        """What each layer makes of the examples, one layer after the other.

        Yields:
            float32, shape (runs, n_examples, n_units); rows as `examples_of_rows` says.
        """
        for together in self._passes(len(examples)):
            yield from self._pass(examples, together, self._chosen)

    def examples_of_rows(self, layer: int, examples: Examples) -> IntArray:
        """Which example each row of a layer's representation is of, shape (n_rows,)."""
        return self._rows(layer, self._chosen[layer], examples)

    def outputs(self, examples: Examples) -> list[torch.Tensor]:
        """All that each place gives, shape (runs, n_examples, n_units)."""
        whole: list[Representation] = ["flatten"] * len(self.layer_outputs)
        unmasked = Examples(examples.positional, examples.keywords)
        return list(self._pass(unmasked, range(len(whole)), whole))

    def activations(self, examples: Examples) -> list[FloatArray]:
        """The same as arrays."""
        return [output.cpu().numpy() for output in self.outputs(examples)]

    def kernels(self) -> list[FloatArray]:
        """The kernels of each place, shape (runs, n_weights)."""
        of_networks = [network.kernels() for network in self.networks]
        return [np.stack(of_place) for of_place in zip(*of_networks, strict=True)]

    def gradients(self, epoch: int) -> Iterator[list[FloatArray]]:
        """The gradients of all batches at the current weights, batch by batch."""
        for of_networks in zip(*(network.gradients() for network in self.networks), strict=True):
            yield [np.stack(of_place) for of_place in zip(*of_networks, strict=True)]

    def _passes(self, n_examples: int) -> Iterator[list[int]]:
        """Which layers are read in one pass through the networks, so that they can be held."""
        together: list[int] = []
        held = 0
        for index, output in enumerate(self.layer_outputs):
            size = _n_units(output, self._chosen[index]) * n_examples * len(self.networks) * _FLOAT
            if together and held + size > MOST_BYTES:
                yield together
                together, held = [], 0
            together.append(index)
            held += size
        yield together

    def _pass(
        self, examples: Examples, together: Sequence[int], chosen: Sequence[Representation]
    ) -> Iterator[torch.Tensor]:
        there, n_runs = self.networks[0].device, len(self.networks)
        n_rows = {index: len(self._rows(index, chosen[index], examples)) for index in together}
        held: dict[int, torch.Tensor] = {}
        for run, network in enumerate(self.networks):
            ends = dict.fromkeys(together, 0)
            for batch in examples.batches(network.batch_size):
                wanted = {index: self._take(index, chosen[index], batch) for index in together}
                for index, rows in network.read(batch, wanted).items():
                    if index not in held:
                        shape = (n_runs, n_rows[index], *rows.shape[1:])
                        held[index] = rows.new_empty(shape, device=there)
                    start, ends[index] = ends[index], ends[index] + len(rows)
                    held[index][run, start : ends[index]] = rows
        for index in together:
            yield held.pop(index)

    def _rows(self, index: int, chosen: Representation, examples: Examples) -> IntArray:
        return examples_of_rows(self.layer_outputs[index], chosen, examples.mask, len(examples))

    def _take(self, index: int, chosen: Representation, batch: Examples) -> Take:
        output = self.layer_outputs[index]
        return lambda outputs: represented(outputs, output, chosen, batch.mask)


def _n_units(output: LayerOutput, chosen: Representation) -> int:
    """How many numbers a representation has, as far as that is known."""
    if chosen in ("mean", "first") and output.neuron_axis is not None:
        return output.shape[output.neuron_axis]
    return output.n_units
