"""Records the activations of every layer with a kernel at the scheduled epochs."""

from deep_bottleneck.activation_store import ActivationWriter
from deep_bottleneck.ensemble import Recorder
from deep_bottleneck.interfaces import BoolArray, Dataset, FloatArray, RunGroup
from deep_bottleneck.schedule import Schedule, due_runs


def load(writer: ActivationWriter, dataset: Dataset, schedule: Schedule) -> "ActivityLogger":
    """A recorder that writes into the experiment's activation store."""
    return ActivityLogger(writer, dataset, schedule)


class ActivityLogger(Recorder):
    """Writes activations of the train and test examples, for all runs of a group at once."""

    def __init__(self, writer: ActivationWriter, dataset: Dataset, schedule: Schedule) -> None:
        super().__init__()
        self._writer = writer
        self._dataset = dataset
        self._schedule = schedule

    def on_group_epoch_end(
        self, epoch: int, group: RunGroup, logs: dict[str, FloatArray], stopping: BoolArray
    ) -> None:
        """Record the epoch if it is scheduled, and in any case the runs that end with it."""
        due = due_runs(self._schedule, epoch, stopping)
        if not len(due):
            return
        self._writer.write_activations(
            epoch,
            [group.runs[row] for row in due],
            {
                part: [
                    layer[due] for layer in group.activations(getattr(self._dataset, part).examples)
                ]
                for part in ("train", "test")
            },
        )
