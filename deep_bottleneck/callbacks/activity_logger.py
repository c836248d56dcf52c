"""Records the activations of every layer with weights at the scheduled epochs."""

from collections.abc import Mapping, Sequence

import torch

from deep_bottleneck.interfaces import Dataset, FloatArray, IntArray, RunGroup
from deep_bottleneck.machine.device import select, to_host
from deep_bottleneck.measuring.activation_store import ActivationWriter
from deep_bottleneck.training.aside import Aside
from deep_bottleneck.training.recorder import ScheduledRecorder, State
from deep_bottleneck.training.schedule import Schedule

Layers = Sequence[torch.Tensor | FloatArray]


def load(writer: ActivationWriter, dataset: Dataset, schedule: Schedule) -> "ActivityLogger":
    """A recorder that writes into the experiment's activation store."""
    return ActivityLogger(writer, dataset, schedule)


class ActivityLogger(ScheduledRecorder):
    """Writes activations of the train and test examples, for all runs of a group at once.

    A thread copies them from the device, compresses and writes them while training goes on. It has
    one epoch at a time.
    """

    def __init__(self, writer: ActivationWriter, dataset: Dataset, schedule: Schedule) -> None:
        super().__init__(schedule)
        self._writer = writer
        self._dataset = dataset
        self._aside = Aside("activations")

    def record(self, epoch: int, group: RunGroup, due: IntArray) -> None:
        """Write the activations of the runs that are due.

        Raises:
            OSError: if those before could not be written, since the disk is full.
        """
        runs = [group.runs[row] for row in due]
        outputs: dict[str, Layers] = {}
        for part in ("train", "test"):
            layers = group.outputs(getattr(self._dataset, part).examples)
            outputs[part] = [select(layer, due) for layer in layers]
        self._aside.start(self._write, epoch, runs, outputs)

    def settle(self) -> None:
        """Wait until all is written.

        Raises:
            OSError: if it cannot be, since the disk is full.
        """
        self._aside.settle()

    def state(self) -> State:
        """Nothing: what was recorded is in the store."""
        return {}

    def restore(self, state: State) -> None:
        """Nothing to take back."""

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Write what is left."""
        self._aside.end()

    def _write(self, epoch: int, runs: Sequence[int], outputs: Mapping[str, Layers]) -> None:
        activations = {part: to_host(layers) for part, layers in outputs.items()}
        self._writer.write_activations(epoch, runs, activations)
