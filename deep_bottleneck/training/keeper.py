"""Keeps checkpoints of an ensemble while it trains, and gives back what the last one holds."""

from collections.abc import Sequence

import keras

from deep_bottleneck.training.checkpoint import (
    Checkpoint,
    Checkpoints,
    gathered,
    give_back,
    state_of,
)
from deep_bottleneck.training.recorder import Recorder


class Keeper:
    """What an ensemble and its callbacks are between two epochs; does nothing without checkpoints.

    Attributes:
        last: the checkpoint to go on from, None to start anew.
    """

    def __init__(
        self,
        checkpoints: Checkpoints | None,
        models: Sequence[keras.Model],
        callbacks: Sequence[Sequence[keras.callbacks.Callback]],
        recorders: Sequence[Recorder],
    ) -> None:
        """Take the models and recorders to where the last checkpoint has them."""
        self._checkpoints = checkpoints
        self._models = models
        self._callbacks = callbacks
        self._recorders = recorders
        self.last: Checkpoint | None = checkpoints.last if checkpoints else None
        if self.last is not None:
            self.last.restore_models(models)
            for recorder, values in zip(recorders, self.last.recorders, strict=True):
                give_back(recorder, values)
            if checkpoints:
                checkpoints.store(self.last)

    @property
    def is_complete(self) -> bool:
        """Whether all training had ended at the last checkpoint."""
        return self.last is not None and self.last.is_complete

    def begin(self, run: int) -> None:
        """Give the callbacks of a run that goes on what they had; `on_train_begin` was before."""
        if self.last is not None and run in self.last.training:
            for callback, values in zip(
                self._callbacks[run], self.last.callbacks[run], strict=True
            ):
                give_back(callback, values)

    def keep(
        self,
        epoch: int,
        rows: Sequence[int],
        training: Sequence[int],
        waiting: Sequence[int],
    ) -> None:
        """Store a checkpoint if one is due.

        Args:
            epoch: the epoch to go on with.
            rows: the runs that are stacked, or the one that trains alone.
            training: those that still train.
            waiting: runs that have not begun.

        Raises:
            TimeIsUp: if the time is up.
        """
        if self._checkpoints is None or not self._checkpoints.due(not (training or waiting)):
            return
        for recorder in self._recorders:
            recorder.settle()
        self._checkpoints.store(
            Checkpoint(
                epoch,
                tuple(rows),
                tuple(training),
                tuple(waiting),
                tuple(map(state_of, self._models)),
                tuple(tuple(map(gathered, own)) for own in self._callbacks),
                tuple(map(gathered, self._recorders)),
                tuple(self._checkpoints.logged),
            )
        )

    def keep_between(self, waiting: Sequence[int]) -> None:
        """Store a checkpoint if one is due, when a group has ended and before the next begins.

        Args:
            waiting: runs that have not begun.

        Raises:
            TimeIsUp: if the time is up.
        """
        self.keep(0, (), (), waiting)
