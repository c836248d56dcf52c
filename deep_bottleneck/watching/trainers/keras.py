"""A callback for `model.fit`."""

from typing import TYPE_CHECKING, Any

import keras

if TYPE_CHECKING:
    from deep_bottleneck.watching.watched import Watch


class Steps(keras.callbacks.Callback):
    """Steps a watch after every epoch, with what Keras says of it; the last epoch is checked."""

    def __init__(self, watched: "Watch") -> None:
        super().__init__()
        self._watched = watched

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measure."""
        # asked for, the model has the weights of now
        is_last = bool(self.model.stop_training) or epoch + 1 == self.params["epochs"]
        self._watched.step(epoch, check=is_last, **(logs or {}))
