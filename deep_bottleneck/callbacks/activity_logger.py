"""Records the activations of every layer with a kernel at the scheduled epochs."""

from deep_bottleneck.activation_store import ActivationWriter
from deep_bottleneck.callbacks.scheduled import ScheduledRecorder
from deep_bottleneck.interfaces import Dataset, IntArray, RunGroup
from deep_bottleneck.schedule import Schedule


def load(writer: ActivationWriter, dataset: Dataset, schedule: Schedule) -> "ActivityLogger":
    """A recorder that writes into the experiment's activation store."""
    return ActivityLogger(writer, dataset, schedule)


class ActivityLogger(ScheduledRecorder):
    """Writes activations of the train and test examples, for all runs of a group at once."""

    def __init__(self, writer: ActivationWriter, dataset: Dataset, schedule: Schedule) -> None:
        super().__init__(schedule)
        self._writer = writer
        self._dataset = dataset

    def record(self, epoch: int, group: RunGroup, due: IntArray) -> None:
        """Write the activations of the runs that are due."""
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
