"""Logs loss and accuracy, averaged over runs, as metrics of the stored experiment."""

import numpy as np

from deep_bottleneck.interfaces import BoolArray, FloatArray, Record, RunGroup
from deep_bottleneck.training.recorder import Recorder, State

METRIC_NAMES = {
    "loss": "training.loss",
    "accuracy": "training.accuracy",
    "val_loss": "test.loss",
    "val_accuracy": "test.accuracy",
}


def load(run: Record, n_runs: int) -> "SacredMetricsLogger":
    """A recorder that logs to the stored experiment."""
    return SacredMetricsLogger(run, n_runs)


class SacredMetricsLogger(Recorder):
    """Logs an epoch once every run has trained it or has stopped before.

    The mean is over the runs that trained the epoch.
    """

    def __init__(self, run: Record, n_runs: int) -> None:
        super().__init__()
        self._run = run
        self._last_epoch = np.full(n_runs, np.iinfo(np.int64).max)
        self._trained = np.full(n_runs, -1)
        self._values: dict[int, list[dict[str, FloatArray]]] = {}
        self._next = 0

    def on_group_epoch_end(
        self, epoch: int, group: RunGroup, logs: dict[str, FloatArray], stopping: BoolArray
    ) -> None:
        """Log the epochs that are now complete."""
        runs = np.asarray(group.runs)
        self._trained[runs] = epoch
        self._last_epoch[runs[stopping]] = epoch
        self._values.setdefault(epoch, []).append(logs)
        while self._next in self._values and self._complete(self._next):
            self._log(self._next)
            self._next += 1

    def state(self) -> State:
        """Which epochs each run has trained, and the metrics of those that are not logged yet."""
        return {
            "last_epoch": self._last_epoch,
            "trained": self._trained,
            "values": self._values,
            "next": self._next,
        }

    def restore(self, state: State) -> None:
        """Go on with them."""
        self._last_epoch, self._trained = state["last_epoch"], state["trained"]
        self._values = dict(state["values"])
        self._next = state["next"]

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Log the epochs that only some runs have reached."""
        for epoch in sorted(self._values):
            self._log(epoch)

    def _complete(self, epoch: int) -> bool:
        return bool(np.all((self._trained >= epoch) | (self._last_epoch < epoch)))

    def _log(self, epoch: int) -> None:
        groups = self._values.pop(epoch)
        for key, name in METRIC_NAMES.items():
            values = [logs[key] for logs in groups if key in logs]
            if values:
                self._run.log_scalar(name, float(np.concatenate(values).mean()), epoch)
