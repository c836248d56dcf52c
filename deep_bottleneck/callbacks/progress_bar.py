"""Shows the progress of training: epoch, loss, accuracy, runs still training."""

from deep_bottleneck.interfaces import BoolArray, FloatArray, RunGroup
from deep_bottleneck.machine.progress import Progress
from deep_bottleneck.training.recorder import Recorder, State


def load(training_progress: Progress, epochs: int) -> "ProgressBar":
    """A recorder that reports to the progress of training, counted in epochs of single runs."""
    return ProgressBar(training_progress, epochs)


class ProgressBar(Recorder):
    """Advances the progress by an epoch for each run that trained it, or will not."""

    def __init__(self, progress: Progress, epochs: int) -> None:
        super().__init__()
        self._progress = progress
        self._epochs = epochs

    def on_group_epoch_end(
        self, epoch: int, group: RunGroup, logs: dict[str, FloatArray], stopping: BoolArray
    ) -> None:
        """Advance by this epoch, and by all epochs that a stopping run leaves out."""
        left_out = int(stopping.sum()) * (self._epochs - epoch - 1)
        shown = {name: f"{values.mean():.4f}" for name, values in logs.items() if "val" not in name}
        self._progress.advance(
            len(group.runs) + left_out,
            epoch=str(epoch),
            **shown,
            training=str(len(group.runs) - int(stopping.sum())),
        )

    def state(self) -> State:
        """Nothing: progress counts what this process trains."""
        return {}

    def restore(self, state: State) -> None:
        """Nothing to take back."""
