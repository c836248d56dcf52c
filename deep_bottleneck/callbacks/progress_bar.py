"""Shows the progress of training: epoch, loss, accuracy, runs still training."""

from deep_bottleneck.interfaces import BoolArray, FloatArray, RunGroup
from deep_bottleneck.machine.progress import Progress
from deep_bottleneck.training.recorder import Recorder, State


def load(training_progress: Progress, epochs: int, n_runs: int) -> "ProgressBar":
    """A recorder that reports to the progress of training, counted in epochs."""
    return ProgressBar(training_progress, epochs, n_runs)


class ProgressBar(Recorder):
    """Advances the progress by an epoch wherever all runs together have trained so many more.

    Where they train one after the other, an epoch of one of five is a fifth of it.
    """

    def __init__(self, progress: Progress, epochs: int, n_runs: int) -> None:
        super().__init__()
        self._progress = progress
        self._epochs = epochs
        self._n_runs = n_runs
        # in epochs of single runs
        self._done = 0

    def on_group_epoch_end(
        self, epoch: int, group: RunGroup, logs: dict[str, FloatArray], stopping: BoolArray
    ) -> None:
        """Count this epoch, and all epochs that a stopping run leaves out."""
        before = self._done // self._n_runs
        left_out = int(stopping.sum()) * (self._epochs - epoch - 1)
        shown = {name: f"{values.mean():.4f}" for name, values in logs.items() if "val" not in name}
        self._done += len(group.runs) + left_out
        self._progress.advance(
            self._done // self._n_runs - before,
            epoch=str(epoch),
            **shown,
            training=str(len(group.runs) - int(stopping.sum())),
        )

    def state(self) -> State:
        """Nothing: progress counts what this process trains."""
        return {}

    def restore(self, state: State) -> None:
        """Nothing to take back."""
