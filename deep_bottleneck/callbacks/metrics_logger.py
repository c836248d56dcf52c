"""Records loss and accuracy of every run and epoch in the activation store."""

import time

import numpy as np

from deep_bottleneck.interfaces import METRICS, BoolArray, FloatArray, RunGroup
from deep_bottleneck.measuring.activation_store import ActivationWriter
from deep_bottleneck.training.recorder import Recorder, State

SECONDS_BETWEEN_WRITES = 1.0


def load(writer: ActivationWriter, epochs: int, n_runs: int) -> "MetricsLogger":
    """A recorder that writes into the experiment's activation store."""
    return MetricsLogger(writer, epochs, n_runs)


class MetricsLogger(Recorder):
    """Keeps the metrics of all runs and writes what is new about once a second."""

    def __init__(self, writer: ActivationWriter, epochs: int, n_runs: int) -> None:
        super().__init__()
        self._writer = writer
        self._values = {name: np.full((epochs, n_runs), np.nan, np.float32) for name in METRICS}
        self._first_unwritten = epochs
        self._after_last = 0
        self._last_write = time.monotonic()

    def on_group_epoch_end(
        self, epoch: int, group: RunGroup, logs: dict[str, FloatArray], stopping: BoolArray
    ) -> None:
        """Keep the epoch's metrics."""
        for name, values in self._values.items():
            if name in logs:
                values[epoch, group.runs] = logs[name]
        self._first_unwritten = min(self._first_unwritten, epoch)
        self._after_last = max(self._after_last, epoch + 1)
        if time.monotonic() - self._last_write > SECONDS_BETWEEN_WRITES:
            self._write()

    def state(self) -> State:
        """The metrics of all epochs, and which are not written yet."""
        return {
            "values": self._values,
            "first_unwritten": self._first_unwritten,
            "after_last": self._after_last,
        }

    def restore(self, state: State) -> None:
        """Go on with them."""
        self._values = dict(state["values"])
        self._first_unwritten = state["first_unwritten"]
        self._after_last = state["after_last"]

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Write what is left."""
        self._write()

    def _write(self) -> None:
        rows = slice(self._first_unwritten, self._after_last)
        if rows.start < rows.stop:
            self._writer.write_metrics(
                rows.start, {name: values[rows] for name, values in self._values.items()}
            )
        self._first_unwritten, self._after_last = len(self._values["loss"]), 0
        self._last_write = time.monotonic()
