"""The Keras callbacks of the runs of a group, driven as `model.fit` would drive them."""

from collections.abc import Sequence

import keras

from deep_bottleneck.interfaces import BoolArray, FloatArray
from deep_bottleneck.training.lockstep.group import LockstepGroup

BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")


class Members:
    """The runs of a group as their own callbacks see them: each alone, with its own model.

    Attributes:
        want_batches: whether a callback wants to hear of every batch.
    """

    def __init__(
        self,
        group: LockstepGroup,
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
        self._lists = {
            run: keras.callbacks.CallbackList(
                list(own), model=model, epochs=epochs, steps=group.n_batches, verbose=0
            )
            for run, model, own in zip(group.runs, group.models, callbacks, strict=True)
        }
        self.want_batches = any(
            getattr(type(callback), hook) is not getattr(keras.callbacks.Callback, hook)
            for own in callbacks
            for callback in own
            for hook in BATCH_HOOKS
        )
        for model in group.models:
            model.stop_training = False
        for callback_list in self._lists.values():
            callback_list.on_train_begin()

    def on_epoch_begin(self, epoch: int) -> None:
        """Tell the callbacks that an epoch begins."""
        for run in self._group.runs:
            self._lists[run].on_epoch_begin(epoch)

    def on_train_batch_begin(self, index: int) -> None:
        """Tell the callbacks that a batch is about to be trained on."""
        for run in self._group.runs:
            self._lists[run].on_train_batch_begin(index)

    def on_train_batch_end(self, index: int, logs: dict[str, FloatArray]) -> None:
        """Tell the callbacks of a batch and the mean loss and accuracy so far, shape (runs,)."""
        for row, run in enumerate(self._group.runs):
            self._lists[run].on_train_batch_end(index, _of_row(logs, row))

    def on_epoch_end(self, epoch: int, logs: dict[str, FloatArray]) -> None:
        """Tell the callbacks of an epoch and its metrics, each of shape (runs,)."""
        for row, run in enumerate(self._group.runs):
            self._lists[run].on_epoch_end(epoch, _of_row(logs, row))

    def on_stop(self, stopping: BoolArray, logs: dict[str, FloatArray]) -> None:
        """Tell the callbacks of the runs that stop, marked here, that their training has ended."""
        for row, run in enumerate(self._group.runs):
            if stopping[row]:
                self._lists[run].on_train_end(_of_row(logs, row))


def _of_row(logs: dict[str, FloatArray], row: int) -> dict[str, float]:
    return {name: float(values[row]) for name, values in logs.items()}
