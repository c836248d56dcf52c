"""Takes down what an ensemble and its callbacks are between two epochs, and gives it back."""

from collections.abc import Sequence

import keras

from deep_bottleneck.errors import RecordError
from deep_bottleneck.storage.names import USELESS_CHECKPOINT
from deep_bottleneck.training.checkpoint import Checkpoint, state_of
from deep_bottleneck.training.continuation import Callbacks, Checkpoints, made_by
from deep_bottleneck.training.gathered import Gathered
from deep_bottleneck.training.recorder import Recorder, State


class Keeper:
    """What an ensemble and its callbacks are between two epochs; does nothing without checkpoints.

    Attributes:
        last: the checkpoint to go on from, None to start anew.
    """

    def __init__(
        self,
        checkpoints: Checkpoints | None,
        models: Sequence[keras.Model],
        callbacks: Callbacks,
        recorders: Sequence[Recorder],
    ) -> None:
        """Take the models and recorders to where the last checkpoint has them.

        Raises:
            RecordError: if it does not hold what a recorder should have gathered; it is set aside.
            TimeIsUp: if the time is up.
        """
        told: set[str] = set()
        self._checkpoints = checkpoints
        self._models = models
        self._callbacks = [[Gathered(callback, told) for callback in own] for own in callbacks]
        self._recorders = recorders
        self._of_recorders = [Gathered(recorder, told) for recorder in recorders]
        self._made_by = made_by(callbacks, recorders)
        self.last: Checkpoint | None = None
        for gathered in self._of_recorders:
            gathered.begin()
        if checkpoints is not None:
            checkpoints.goes_on_from(models, callbacks, recorders)
            self.last = checkpoints.last
            self._go_on(checkpoints)

    @property
    def is_complete(self) -> bool:
        """Whether all training had ended at the last checkpoint."""
        return self.last is not None and self.last.is_complete

    def begin(self, run: int) -> None:
        """Give the callbacks of a run that goes on what they had; `on_train_begin` was before."""
        own = self._callbacks[run]
        for gathered in own:
            gathered.begin()
        if self._checkpoints and self.last is not None and run in self.last.training:
            _restore(own, self.last.callbacks[run], self._checkpoints)

    def keep(
        self,
        epoch: int,
        rows: Sequence[int],
        training: Sequence[int],
        waiting: Sequence[int],
    ) -> None:
        """Store a checkpoint if one is due.

        Args:
            epoch: the epoch to go on with.
            rows: the runs that are stacked, or the one that trains alone.
            training: those that still train.
            waiting: runs that have not begun.

        Raises:
            TimeIsUp: if the time is up.
        """
        if self._checkpoints is None or not self._checkpoints.due(not (training or waiting)):
            return
        for recorder in self._recorders:
            recorder.settle()
        callbacks = [own if run in training else [] for run, own in enumerate(self._callbacks)]
        self._checkpoints.store(
            Checkpoint(
                epoch,
                tuple(rows),
                tuple(training),
                tuple(waiting),
                models=tuple(map(state_of, self._models)),
                callbacks=tuple(tuple(one.state() for one in own) for own in callbacks),
                recorders=tuple(one.state() for one in self._of_recorders),
                made_by=self._made_by,
                logged=tuple(self._checkpoints.logged),
            )
        )

    def keep_between(self, waiting: Sequence[int]) -> None:
        """Store a checkpoint if one is due, when a group has ended and before the next begins.

        Args:
            waiting: runs that have not begun.

        Raises:
            TimeIsUp: if the time is up.
        """
        self.keep(0, (), (), waiting)

    def _go_on(self, checkpoints: Checkpoints) -> None:
        if self.last is None:
            return
        self.last.restore_models(self._models)
        _restore(self._of_recorders, self.last.recorders, checkpoints)
        checkpoints.log_again()
        checkpoints.store(self.last)


def _restore(
    callbacks: Sequence[Gathered], states: Sequence[State], checkpoints: Checkpoints
) -> None:
    try:
        for gathered, state in zip(callbacks, states, strict=True):
            gathered.restore(state)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        checkpoints.set_aside()
        raise RecordError(
            f"the checkpoint does not hold what the callbacks have gathered ({error!r}): it is "
            f"{USELESS_CHECKPOINT} now, and the next --resume goes on without it"
        ) from error
