"""Stops a run once a metric passes a value."""

import keras

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import METRICS

LONG_NAMES = {"acc": "accuracy", "val_acc": "val_accuracy"}
FALLING = ("loss", "val_loss")


def load(monitor: str = "val_accuracy", value: float = 0.94) -> "EarlyStoppingAtValue":
    """A callback that stops a run when `monitor` passes `value`.

    Args:
        monitor: "loss", "accuracy", "val_loss" or "val_accuracy"; "acc" and "val_acc" are
            understood.
        value: where to stop: a loss at or below it, an accuracy at or above it.

    Raises:
        ConfigError: if there is no such metric, or the value is no number.
    """
    monitor = LONG_NAMES.get(monitor, monitor)
    if monitor not in METRICS:
        raise ConfigError(
            f'"callbacks": earlystopping_manual cannot monitor {monitor!r}; the metrics are '
            f"{', '.join(METRICS)}"
        )
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(
            f'"callbacks": earlystopping_manual needs a number to stop at, got {value!r}'
        )
    return EarlyStoppingAtValue(monitor, value)


class EarlyStoppingAtValue(keras.callbacks.Callback):
    """Stops training at the end of the first epoch whose metric has passed a value."""

    def __init__(self, monitor: str, value: float) -> None:
        super().__init__()
        self.monitor = monitor
        self.value = value

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Compare the metric with the value."""
        metric = (logs or {}).get(self.monitor)
        if metric is None:
            return
        passed = metric <= self.value if self.monitor in FALLING else metric >= self.value
        if passed:
            self.model.stop_training = True
