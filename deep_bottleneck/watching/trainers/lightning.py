"""A callback for Lightning's `Trainer`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deep_bottleneck.watching.watched import Watch


def steps(watched: "Watch") -> Any:
    """Steps a watch after every epoch, and keeps what it has measured in checkpoints.

    The last epoch is checked.
    """
    import lightning

    class Steps(lightning.Callback):
        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
            is_last = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
            watched.step(trainer.current_epoch, check=is_last, **metrics)

        def state_dict(self) -> dict[str, Any]:
            return watched.state_dict()

        def load_state_dict(self, state_dict: dict[str, Any]) -> None:
            watched.load_state_dict(state_dict)

    return Steps()
