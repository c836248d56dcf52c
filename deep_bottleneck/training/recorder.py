"""Callbacks that watch many runs at once."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from deep_bottleneck.interfaces import BoolArray, FloatArray, IntArray, RunGroup
from deep_bottleneck.training.schedule import Schedule, due_runs

if TYPE_CHECKING:
    # networks of PyTorch are watched where it is not installed
    import keras

    from deep_bottleneck.training.sequential import SequentialGroup

State = Mapping[str, Any]
"""What a callback has gathered so far, by name."""


def _unheard(self: "Recorder", *args: Any, **keywords: Any) -> None:
    """Nothing: a recorder hears of epochs and of the end alone."""


# as Keras tells what nobody listens to
_unheard._is_default = True  # type: ignore[attr-defined]


class Recorder:
    """A callback that watches many runs at once.

    It hears `on_group_epoch_end` after every epoch of each group of runs that train together, when
    the callbacks of single runs have had their say, and `on_train_end` once, when all training has
    ended, also by an error. It is a callback of Keras without needing it: given to an ordinary
    `model.fit(callbacks=[...])`, it records that network as a group of one run. There it belongs
    behind callbacks that stop training, whose word it has to know.

    One that gathers values says so by two more methods, as any Keras callback may: `state()` gives
    them to a checkpoint, plain values by name, and `restore(state)` takes them back where training
    goes on. Of one that has none, a checkpoint holds the attributes that are plain values, and the
    log names the others.
    """

    params: Mapping[str, Any] | None = None
    _alone: "SequentialGroup | None" = None

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

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Hear from `model.fit` for how many epochs it trains."""
        self.params = params

    def set_model(self, model: "keras.Model") -> None:
        """Hear from `model.fit` what it trains.

        Raises:
            ConfigError: if the layers of the network cannot be found.
        """
        from deep_bottleneck.training.sequential import SequentialGroup

        self._alone = SequentialGroup(model, run=0)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Record the network that `model.fit` trains, as a group of one run."""
        if self._alone is not None:
            of_run, stops = self._alone.end_of_epoch(epoch, logs, self.params)
            self.on_group_epoch_end(epoch, self._alone, of_run, stops)

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Store what was recorded."""

    on_train_begin = on_epoch_begin = _unheard
    on_batch_begin = on_batch_end = on_train_batch_begin = on_train_batch_end = _unheard
    on_test_begin = on_test_end = on_test_batch_begin = on_test_batch_end = _unheard
    on_predict_begin = on_predict_end = _unheard
    on_predict_batch_begin = on_predict_batch_end = _unheard


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
