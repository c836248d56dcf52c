"""Records how strong and how noisy the batch gradients are at the scheduled epochs.

At the weights an epoch ends with, the gradients of that epoch's batches are computed again; their
mean is the signal and their standard deviation the noise of stochastic gradient descent
(Shwartz-Ziv & Tishby 2017, section 3.3).
"""

import numpy as np

from deep_bottleneck.interfaces import FloatArray, IntArray, RunGroup
from deep_bottleneck.measuring.activation_store import ActivationWriter
from deep_bottleneck.training.recorder import ScheduledRecorder, State
from deep_bottleneck.training.schedule import Schedule

REFERENCES = ("shwartz-ziv2017",)

TABLES = ("gradients",)


def load(writer: ActivationWriter, schedule: Schedule) -> "GradientLogger":
    """A recorder that writes into the experiment's activation store."""
    return GradientLogger(writer, schedule)


class GradientLogger(ScheduledRecorder):
    """Writes, for each layer's kernel, three Euclidean norms.

    Those of the mean and of the standard deviation of the gradient over the epoch's batches, and
    that of the weights.
    """

    def __init__(self, writer: ActivationWriter, schedule: Schedule) -> None:
        super().__init__(schedule)
        self._writer = writer

    def record(self, epoch: int, group: RunGroup, due: IntArray) -> None:
        """Write the norms for the runs that are due."""
        mean, deviation = _mean_and_deviation(group, epoch)
        measures = {"mean_norm": mean, "std_norm": deviation, "weight_norm": group.kernels()}
        self._writer.write_gradients(
            epoch,
            [group.runs[row] for row in due],
            {
                name: np.stack([np.linalg.norm(layer[due], axis=1) for layer in layers], axis=1)
                for name, layers in measures.items()
            },
        )

    def state(self) -> State:
        """Nothing: what was recorded is in the store."""
        return {}

    def restore(self, state: State) -> None:
        """Nothing to take back."""


def _mean_and_deviation(group: RunGroup, epoch: int) -> tuple[list[FloatArray], list[FloatArray]]:
    """Over batches, for each layer, shape (runs, n_weights)."""
    by_layer = zip(*group.gradients(epoch), strict=True)
    stacked = [np.stack(batches) for batches in by_layer]
    return [layer.mean(axis=0) for layer in stacked], [layer.std(axis=0) for layer in stacked]
