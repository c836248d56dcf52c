"""The Keras callbacks of the runs of a group, driven as `model.fit` would drive them."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import keras
import numpy as np

from deep_bottleneck.interfaces import BoolArray, FloatArray

BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")
TEST_HOOKS = ("on_test_begin", "on_test_end", "on_test_batch_begin", "on_test_batch_end")


class Group(Protocol):
    """Runs that train together."""

    @property
    def runs(self) -> list[int]:
        """The runs that still train."""
        ...

    @property
    def models(self) -> list[keras.Model]:
        """Their models."""
        ...

    @property
    def n_batches(self) -> int:
        """How many steps an epoch has."""
        ...


class Members:
    """The runs of a group as their own callbacks see them: each alone, with its own model.

    Attributes:
        hears_batches: whether a callback wants to hear of every batch.
        hears_tests: whether a callback wants to hear of tests.
    """

    def __init__(
        self,
        group: Group,
        callbacks: Sequence[Sequence[keras.callbacks.Callback]],
        epochs: int,
    ) -> None:
        """Tell the callbacks that training begins.

        Args:
            group: the runs that train together.
            callbacks: for each of them its own.
            epochs: how many epochs they train at most.
        """
        self._group = group
        self._models = dict(zip(group.runs, group.models, strict=True))
        self._lists = {
            run: keras.callbacks.CallbackList(
                list(own), model=model, epochs=epochs, steps=group.n_batches, verbose=0
            )
            for (run, model), own in zip(self._models.items(), callbacks, strict=True)
        }
        self._know_models = {
            run for run, own in zip(self._models, callbacks, strict=True) if any(map(_is_own, own))
        }
        every = [callback for own in callbacks for callback in own]
        self.hears_batches = any(_hears(callback, BATCH_HOOKS) for callback in every)
        self.hears_tests = any(_hears(callback, TEST_HOOKS) for callback in every)
        for model in self._models.values():
            model.stop_training = False
        for callback_list in self._lists.values():
            callback_list.on_train_begin()

    @property
    def stops(self) -> BoolArray:
        """Which of the runs that still train were asked to stop."""
        return np.array([bool(self._models[run].stop_training) for run in self._group.runs])

    def on_epoch_begin(self, epoch: int) -> None:
        """Tell the callbacks that an epoch begins."""
        for _, run in self._heard():
            self._list(run).on_epoch_begin(epoch)

    def on_train_batch_begin(self, index: int) -> None:
        """Tell the callbacks that a batch is about to be trained on."""
        for run in self._in_epoch():
            self._list(run).on_train_batch_begin(index)

    def on_train_batch_end(self, index: int, logs: dict[str, FloatArray]) -> None:
        """Tell the callbacks of a batch and the metrics so far, shape (runs,)."""
        still = self._in_epoch()
        for row, run in enumerate(self._group.runs):
            if run in still:
                self._list(run).on_train_batch_end(index, _of_row(logs, row))

    def on_test_begin(self) -> None:
        """Tell the callbacks that the test at the end of an epoch begins."""
        for run in self._group.runs:
            self._list(run).on_test_begin()

    def on_test_batch_begin(self, index: int) -> None:
        """Tell the callbacks that some examples are about to be tested."""
        for run in self._group.runs:
            self._list(run).on_test_batch_begin(index)

    def on_test_batch_end(self, index: int, logs: dict[str, FloatArray]) -> None:
        """Tell the callbacks of these examples and the metrics so far, shape (runs,)."""
        for row, run in enumerate(self._group.runs):
            self._list(run).on_test_batch_end(index, _of_row(logs, row))

    def on_test_end(self, logs: dict[str, FloatArray]) -> None:
        """Tell the callbacks of a test and its metrics, shape (runs,)."""
        for row, run in enumerate(self._group.runs):
            self._list(run).on_test_end(_of_row(logs, row))

    def on_epoch_end(self, epoch: int, logs: dict[str, FloatArray]) -> None:
        """Tell the callbacks of an epoch and its metrics, each of shape (runs,)."""
        for row, run in self._heard():
            self._list(run).on_epoch_end(epoch, _of_row(logs, row))

    def on_stop(
        self, runs: Sequence[int], stopping: BoolArray, logs: dict[str, FloatArray]
    ) -> None:
        """Tell the callbacks of the runs that have stopped that their training has ended.

        Args:
            runs: the runs that trained in the epoch.
            stopping: marks those that have stopped.
            logs: the metrics of the epoch, each of shape (runs,).
        """
        for row in np.flatnonzero(stopping).tolist():
            self._lists[runs[row]].on_train_end(_of_row(logs, row))

    def _heard(self) -> Iterator[tuple[int, int]]:
        """Position and number of the runs that have callbacks."""
        for row, run in enumerate(self._group.runs):
            if self._lists[run].callbacks:
                yield row, run

    def _in_epoch(self) -> set[int]:
        """The runs that were not stopped in the middle of the epoch."""
        stops = zip(self._group.runs, self.stops, strict=True)
        return {run for run, stopped in stops if not stopped}

    def _list(self, run: int) -> keras.callbacks.CallbackList:
        """The callbacks of a run, which find their model as it is."""
        if run in self._know_models and hasattr(self._models[run], "jax_state_sync"):
            self._models[run].jax_state_sync()
        return self._lists[run]


def _hears(callback: keras.callbacks.Callback, hooks: Sequence[str]) -> bool:
    """Whether a callback has one of the hooks of its own, by its class or set on it."""
    return any(
        getattr(getattr(callback, hook), "__func__", None)
        is not getattr(keras.callbacks.Callback, hook)
        for hook in hooks
    )


def _is_own(callback: keras.callbacks.Callback) -> bool:
    """Whether a callback may know a model otherwise than by `self.model`, as Keras' do not."""
    of_keras = type(callback).__module__.startswith("keras.")
    return not of_keras or isinstance(callback, keras.callbacks.LambdaCallback)


def _of_row(logs: dict[str, FloatArray], row: int) -> dict[str, float]:
    return {name: float(values[row]) for name, values in logs.items()}
