"""Callbacks that watch many runs at once."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import keras

from deep_bottleneck.interfaces import BoolArray, FloatArray, IntArray, RunGroup
from deep_bottleneck.training.schedule import Schedule, due_runs

State = Mapping[str, Any]
"""What a callback has gathered so far, by name."""


class Recorder(keras.callbacks.Callback):
    """A callback that watches many runs at once.

    It hears `on_group_epoch_end` after every epoch of each group of runs that train together, when
    the callbacks of single runs have had their say, and `on_train_end` once, when all training has
    ended, also by an error.

    One that gathers values says so by two more methods, as any Keras callback may: `state()` gives
    them to a checkpoint, plain values by name, and `restore(state)` takes them back where training
    goes on. Of one that has none, a checkpoint holds the attributes that are plain values, and the
    log names the others.
    """

    def on_group_epoch_end(
        self, epoch: int, group: RunGroup, logs: dict[str, FloatArray], stopping: BoolArray
    ) -> None:
        """Record an epoch.

        Args:
            epoch: the epoch, from 0.
            group: the runs that trained in this epoch, with access to what they compute.
            logs: "loss", "accuracy", "val_loss", "val_accuracy", each of shape (runs,).
            stopping: which of the runs end with this epoch, shape (runs,).
        """

    def settle(self) -> None:
        """Finish what was left to be done meanwhile: a checkpoint is stored next."""

    def give_up(self) -> None:
        """Leave what was left to be done meanwhile: training has ended by an error, or Ctrl-C."""


class ScheduledRecorder(Recorder):
    """Records all runs at a scheduled epoch, and in any case the runs that end with an epoch."""

    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        self._schedule = schedule

    def on_group_epoch_end(
        self, epoch: int, group: RunGroup, logs: dict[str, FloatArray], stopping: BoolArray
    ) -> None:
        """Record the runs that are due."""
        due = due_runs(self._schedule, epoch, stopping)
        if len(due):
            self.record(epoch, group, due)

    @abstractmethod
    def record(self, epoch: int, group: RunGroup, due: IntArray) -> None:
        """Record an epoch.

        Args:
            epoch: the epoch.
            group: the runs that trained in it.
            due: the positions in the group of the runs to record.
        """
