"""A callback for Hugging Face's `Trainer`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deep_bottleneck.watching.watched import Watch


def steps(watched: "Watch") -> Any:
    """Steps a watch after every epoch, with the loss that was logged last; the last is checked."""
    from transformers import TrainerCallback

    class Steps(TrainerCallback):
        def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            losses = [entry["loss"] for entry in state.log_history if "loss" in entry]
            metrics = {"loss": losses[-1]} if losses else {}
            is_last = control.should_training_stop or state.global_step >= state.max_steps
            watched.step(check=is_last, **metrics)

    return Steps()
