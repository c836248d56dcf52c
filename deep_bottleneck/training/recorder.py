"""Callbacks that watch many runs at once."""

import keras

from deep_bottleneck.interfaces import BoolArray, FloatArray, RunGroup


class Recorder(keras.callbacks.Callback):
    """A callback that watches many runs at once.

    It hears `on_group_epoch_end` after every epoch of each group of runs that train together, when
    the callbacks of single runs have had their say, and `on_train_end` once, when all training has
    ended, also by an error.
    """

    def on_group_epoch_end(
        self, epoch: int, group: RunGroup, logs: dict[str, FloatArray], stopping: BoolArray
    ) -> None:
        """Record an epoch.

        Args:
            epoch: the epoch, from 0.
            group: the runs that trained in this epoch, with access to what they compute.
            logs: "loss", "accuracy", "val_loss", "val_accuracy", each of shape (runs,).
            stopping: which of the runs end with this epoch, shape (runs,).
        """

    def settle(self) -> None:
        """Finish what was left to be done meanwhile: a checkpoint is stored next."""
