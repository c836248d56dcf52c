"""A callback for Hugging Face's `Trainer`."""

from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

if TYPE_CHECKING:
    from deep_bottleneck.watching.watched import Watch


class Steps(TrainerCallback):
    """Steps a watch after every epoch, with the loss that was logged last."""

    def __init__(self, watched: "Watch") -> None:
        self._watched = watched

    def on_epoch_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Measure."""
        losses = [entry["loss"] for entry in state.log_history if "loss" in entry]
        metrics = {"loss": losses[-1]} if losses else {}
        is_last = control.should_training_stop or state.global_step >= state.max_steps
        self._watched.step(check=is_last, **metrics)
