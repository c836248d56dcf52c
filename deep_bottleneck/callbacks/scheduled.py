"""What the recorders have in common that record at scheduled epochs only."""

from abc import abstractmethod

from deep_bottleneck.interfaces import BoolArray, FloatArray, IntArray, RunGroup
from deep_bottleneck.training.recorder import Recorder
from deep_bottleneck.training.schedule import Schedule, due_runs


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
