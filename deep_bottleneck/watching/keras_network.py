"""The places of a Keras model, on whatever backend: those of the experiment."""

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import torch

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import Dataset, FloatArray, LabelledDataset, LayerOutput
from deep_bottleneck.training.batches import Batches
from deep_bottleneck.training.layers import watched_layers
from deep_bottleneck.training.sequential import PREDICTION_BATCH, SequentialGroup
from deep_bottleneck.watching.choice import by_layer, chosen_layers
from deep_bottleneck.watching.data import Examples, WatchedData
from deep_bottleneck.watching.networks import Choice, Place, Take


class KerasNetwork:
    """A Keras model whose places are watched.

    Attributes:
        model: the model.
        places: the places that are watched, in the order of their calls.
        batch_size: how many examples a batch has, of which gradients are, too.
        device: where its outputs are: Keras hands them over as arrays.
    """

    device = torch.device("cpu")

    def __init__(self, model: keras.Model, data: WatchedData, choice: Choice) -> None:
        """Find the places.

        Raises:
            ConfigError: if the model has none of these, or is not a graph of layers.
        """
        self.model = model
        self.batch_size = choice.batch_size or PREDICTION_BATCH
        self._may_have_gradients = data.targets is not None and len(data.examples.positional) == 1
        batches = Batches(len(data.labels), self.batch_size, None, seed=0)
        self._group = SequentialGroup(model, 0, _dataset(data), batches)
        outputs = {output.name: output for output in self._group.layer_outputs}
        of_names = dict(zip(outputs, watched_layers(model), strict=True))
        chosen = list(of_names)
        if choice.layers is not None:
            chosen = chosen_layers(choice.layers, of_names)
        axes = by_layer("channel_axis", choice.channel_axis, chosen, None)
        self._numbers = [list(outputs).index(name) for name in chosen]
        self.places = [
            Place(_with_axis(outputs[name], axes[name]), of_names[name]) for name in chosen
        ]

    @property
    def example(self) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """None: models of Keras know the shapes of their inputs."""
        return self._group.example(row=0)

    def read(self, examples: Examples, wanted: Mapping[int, Take]) -> dict[int, torch.Tensor]:
        """What is wanted of some places, by their number, for a batch of examples."""
        found = self._group.activations(arrays_of(examples))
        taken = {}
        for index, take in wanted.items():
            shape = (len(examples), *self.places[index].output.shape)
            values = np.ascontiguousarray(found[self._numbers[index]])
            taken[index] = take(torch.from_numpy(values).reshape(shape))
        return taken

    def kernels(self) -> list[FloatArray]:
        """The weights of each place that connect units, flattened."""
        kernels = self._group.kernels()
        return [kernels[number][0] for number in self._numbers]

    def gradients(self) -> Iterator[list[FloatArray]]:
        """The gradients of those, of the compiled loss, batch by batch.

        Raises:
            ConfigError: if it was compiled without a loss, has several inputs, or no labels.
        """
        if not self._may_have_gradients:
            raise ConfigError("gradients of a Keras model need one array of inputs, and labels")
        if self.model.loss is None:
            raise ConfigError(
                f"gradients need the loss: compile {self.model.name} with one before it is watched"
            )
        for of_layers in self._group.gradients(epoch=0):
            yield [of_layers[number][0] for number in self._numbers]


def arrays_of(examples: Examples) -> Any:
    """Examples as Keras takes them: an array, a list of several, or arrays by name."""
    if examples.keywords:
        return {name: tensor.cpu().numpy() for name, tensor in examples.keywords.items()}
    arrays = [tensor.cpu().numpy() for tensor in examples.positional]
    return arrays if len(arrays) > 1 else arrays[0]


def _dataset(data: WatchedData) -> Dataset:
    """The data as an experiment has it, with the classes by the numbers that a loss takes."""
    labels, targets = data.labels, data.targets
    if targets is not None and bool((targets >= 0).all()):
        labels = targets.cpu().numpy().reshape(-1).astype(np.int64)
    n_classes = int(labels.max()) + 1
    one_hot = np.eye(n_classes, dtype=np.float32)[labels]
    part = LabelledDataset(arrays_of(data.examples), labels, one_hot)
    return Dataset(part, part, n_classes)


def _with_axis(output: LayerOutput, axis: int | None) -> LayerOutput:
    return output if axis is None else output._replace(neuron_axis=axis)
