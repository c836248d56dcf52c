"""One Keras model trained by `model.fit`: for backends and models that know no lock-step."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import BoolArray, Dataset, FloatArray, IntArray
from deep_bottleneck.training.batches import Batches
from deep_bottleneck.training.gradients import kernel_gradients
from deep_bottleneck.training.layers import (
    feature_extractor,
    in_full,
    kernels_of,
    layer_outputs,
    watched_layers,
)
from deep_bottleneck.training.targets import targets

PREDICTION_BATCH = 4096


class SequentialGroup:
    """A group of a single run, with the interface of `CompiledGroup` for whoever records it.

    Attributes:
        runs: the run.
        models: its model.
        layer_outputs: name and shape of the output of each place.
    """

    def __init__(
        self,
        model: keras.Model,
        run: int,
        dataset: Dataset | None = None,
        batches: Batches | None = None,
    ) -> None:
        """Find the places of a model.

        Args:
            model: the model.
            run: its number.
            dataset: what it trains on, and
            batches: in which order, where it is not trained by somebody else.

        Raises:
            ConfigError: if the model has no place, or is not a graph of layers.
        """
        self._model = model
        self._dataset = dataset
        self._batches = batches
        self._kernels = [kernels_of(layer) for layer in watched_layers(model)]
        self._extractor = feature_extractor(model)
        self.runs = [run]
        self.models = [model]
        self.layer_outputs = layer_outputs(model)

    def fit(
        self, epochs: int, callbacks: Sequence[keras.callbacks.Callback], first_epoch: int = 0
    ) -> None:
        """Train with Keras' own loop, on the batches that a group in lock-step would see.

        Raises:
            ConfigError: if these are not known.
        """
        dataset, batches = self._known()
        test = dataset.test
        self._model.fit(
            self._stream(first_epoch, epochs),
            initial_epoch=first_epoch,
            epochs=epochs,
            steps_per_epoch=len(batches.slices),
            validation_data=(test.examples, targets(self._model, test)),
            validation_batch_size=PREDICTION_BATCH,
            callbacks=list(callbacks),
            shuffle=False,
            verbose=0,
        )

    def end_of_epoch(
        self, epoch: int, logs: Mapping[str, float] | None, params: Mapping[str, Any] | None
    ) -> tuple[dict[str, FloatArray], BoolArray]:
        """What Keras says at the end of an epoch, over the one run.

        Args:
            epoch: the epoch.
            logs: the metrics.
            params: what `model.fit` was asked to do.

        Returns:
            The metrics, and whether the run ends, each of shape (1,).
        """
        arrays = {name: np.array([value], np.float32) for name, value in (logs or {}).items()}
        last = epoch + 1 == (params or {}).get("epochs")
        if hasattr(self._model, "jax_state_sync"):
            self._model.jax_state_sync()
        return arrays, np.array([last or bool(self._model.stop_training)])

    def example(self, row: int) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """None: models of Keras know the shapes of their inputs."""
        return (), {}

    def layers(self, row: int) -> list[keras.Layer]:
        """The layer of each place, in the model of the run at this position in `runs`."""
        return watched_layers(self.models[row])

    def activations(self, examples: FloatArray) -> list[FloatArray]:
        """The output of each place, shape (1, n_examples, n_units)."""
        outputs = self._extractor.predict(examples, batch_size=PREDICTION_BATCH, verbose=0)
        return [output.reshape(1, len(output), -1) for output in outputs[: len(self._kernels)]]

    def outputs(self, examples: FloatArray) -> list[FloatArray]:
        """The same: `predict` gives arrays."""
        return self.activations(examples)

    def gradients(self, epoch: int) -> Iterator[list[FloatArray]]:
        """The gradients of an epoch's batches at the current weights, batch by batch.

        Yields:
            For each place the gradient of its kernels, shape (1, n_weights).

        Raises:
            ConfigError: if the batches are not known.
        """
        different = list({id(v): v for of_place in self._kernels for v in of_place}.values())
        for examples, labels in self._epoch(epoch):
            gradients = kernel_gradients(self._model, different, examples, labels)
            found = {id(v): gradient for v, gradient in zip(different, gradients, strict=True)}
            yield [
                np.concatenate([found[id(v)] for v in of_place])[None] for of_place in self._kernels
            ]

    def kernels(self) -> list[FloatArray]:
        """The kernels of each place, shape (1, n_weights)."""
        return [
            np.concatenate(
                [keras.ops.convert_to_numpy(in_full(v)).reshape(1, -1) for v in kernels], axis=1
            )
            for kernels in self._kernels
        ]

    def _stream(
        self, first: int, epochs: int
    ) -> Iterator[tuple[FloatArray, FloatArray | IntArray]]:
        for epoch in range(first, epochs):
            yield from self._epoch(epoch)

    def _epoch(self, epoch: int) -> Iterator[tuple[FloatArray, FloatArray | IntArray]]:
        dataset, batches = self._known()
        train = dataset.train
        order = batches.order(self.runs[0], epoch)
        labels = targets(self._model, train)
        for batch in batches.slices:
            yield train.examples[order[batch]], labels[order[batch]]

    def _known(self) -> tuple[Dataset, Batches]:
        if self._dataset is None or self._batches is None:
            raise ConfigError(
                f"the batches that {self._model.name} trains on are not known, and with them the "
                "gradients: these are recorded in an experiment"
            )
        return self._dataset, self._batches


class EndOfEpoch(keras.callbacks.Callback):
    """Calls a function after all other callbacks have seen the end of an epoch.

    And another one once they have seen the beginning of training.
    """

    def __init__(
        self,
        group: SequentialGroup,
        function: Callable[[int, dict[str, FloatArray], BoolArray], None],
        beginning: Callable[[], None],
    ) -> None:
        super().__init__()
        self._group = group
        self._function = function
        self._beginning = beginning

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Say that training begins."""
        self._beginning()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Pass on the epoch, its logs as arrays over the one run, and whether the run stops."""
        self._function(epoch, *self._group.end_of_epoch(epoch, logs, self.params))
