"""A callback for Lightning's `Trainer`."""

from typing import TYPE_CHECKING, Any

import lightning

if TYPE_CHECKING:
    from deep_bottleneck.watching.watched import Watch


class Steps(lightning.Callback):
    """Steps a watch after every epoch, and keeps what it has measured in checkpoints."""

    def __init__(self, watched: "Watch") -> None:
        super().__init__()
        self._watched = watched

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Measure, with what the training has logged of the epoch."""
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        is_last = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        self._watched.step(trainer.current_epoch, check=is_last, **metrics)

    def state_dict(self) -> dict[str, Any]:
        """What the watch has measured."""
        return self._watched.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from it."""
        self._watched.load_state_dict(state_dict)
