"""n_runs Keras models trained as one."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import keras
import numpy as np
import torch

from deep_bottleneck.interfaces import BoolArray, Dataset, FloatArray
from deep_bottleneck.machine import device
from deep_bottleneck.machine.threads import threads_for
from deep_bottleneck.training import memory
from deep_bottleneck.training.batches import Batches
from deep_bottleneck.training.checkpoint import Checkpoint, Checkpoints
from deep_bottleneck.training.keeper import Keeper
from deep_bottleneck.training.lockstep import group as lockstep
from deep_bottleneck.training.recorder import Recorder
from deep_bottleneck.training.sequential import EndOfEpoch, SequentialGroup

logger = logging.getLogger(__name__)

BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")


class Ensemble:
    """Trains several Keras models of one architecture.

    On the torch backend all models take every step together, as rows of one computation; else
    `model.fit` trains one after the other. Which of the two it was does not show in the results:
    a run starts from its own weights and sees the same batches either way.
    """

    def __init__(
        self,
        models: Sequence[keras.Model],
        seed: int,
        device: torch.device | None = None,
        memory: int | None = None,
    ) -> None:
        """Wrap compiled models.

        Args:
            models: one compiled model for each run.
            seed: decides the order of examples for each run and epoch.
            device: where to train, on the torch backend; None for where the models lie, which is
                also where they are afterwards.
            memory: how many bytes to use there, by the estimate of `memory`; where all runs would
                take more, they train in groups, one after the other. None for most of what is free
                on a CUDA device, and for no limit on a CPU.
        """
        self.models = list(models)
        self.seed = seed
        self.device = device
        self.memory = memory

    def fit(
        self,
        dataset: Dataset,
        epochs: int,
        batch_size: int,
        steps_per_epoch: int | None = None,
        callbacks: Sequence[Sequence[keras.callbacks.Callback]] = (),
        recorders: Sequence[Recorder] = (),
        checkpoints: Checkpoints | None = None,
    ) -> None:
        """Train all runs.

        A run whose callback sets `model.stop_training` is frozen and the others go on.

        Args:
            dataset: what to train and test on.
            epochs: how many epochs at most.
            batch_size: examples in a step.
            steps_per_epoch: batches in an epoch, None for one pass over the training examples.
            callbacks: for each run its own ordinary Keras callbacks.
            recorders: callbacks that watch all runs.
            checkpoints: where training goes on from, and where its state is stored.

        Raises:
            TimeIsUp: if the time is up, as `checkpoints` are told.
        """
        batches = Batches(len(dataset.train), batch_size, steps_per_epoch, self.seed)
        callbacks = list(callbacks) or [[] for _ in self.models]
        keeper = Keeper(checkpoints, self.models, callbacks, recorders)
        training = _Training(dataset, batches, callbacks, recorders, epochs, keeper)
        last = keeper.last
        try:
            if last is None or not last.is_complete:
                with self._on_device():
                    self._fit(training)
        finally:
            for recorder in recorders:
                recorder.on_train_end()

    @contextmanager
    def _on_device(self) -> Iterator[None]:
        """Let Keras make what it makes where the runs train."""
        if keras.backend.backend() != "torch":
            yield
            return
        with device.chosen(self._where):
            yield

    @property
    def _where(self) -> torch.device:
        return self.device or device.of(self.models[0])

    def _fit(self, training: "_Training") -> None:
        dataset, batches, last = training.dataset, training.batches, training.keeper.last
        begun = list(last.rows) if last is not None and last.training else []
        waiting = list(last.waiting) if last is not None else list(range(len(self.models)))
        reason = lockstep.obstacle(self.models)
        size = len(self.models)
        if reason is None:
            limit = memory.budget(self._where) if self.memory is None else self.memory
            size = memory.runs_at_a_time(self.models, dataset, batches, limit)
        while reason is None and (begun or waiting):
            rows, waiting = (begun, waiting) if begun else (waiting[:size], waiting[size:])
            models = [self.models[run] for run in rows]
            group = lockstep.LockstepGroup(models, rows, dataset, batches, self._where)
            reason = group.obstacle()
            if reason is None:
                if waiting:
                    logger.info("Training %d runs; %d others follow.", len(rows), len(waiting))
                before = last if begun else None
                with threads_for(group.multiplications):
                    _fit_together(group, training, before, waiting)
            group.release()
            del group  # and its memory, which the next one may need
            begun = []
        if reason is not None:
            logger.info("Training the runs one after the other with model.fit, since %s.", reason)
            self._fit_each(training)

    def _fit_each(self, training: "_Training") -> None:
        waiting, last = list(range(len(self.models))), training.keeper.last
        if last is not None:
            waiting = [*last.training, *last.waiting]
        while waiting:
            run, *waiting = waiting
            model = self.models[run]
            with _moved(model, self.device):
                single = SequentialGroup(model, run, training.dataset, training.batches)
                _fit_alone(single, training, waiting)


@dataclass(frozen=True)
class _Training:
    """What `Ensemble.fit` was asked to do."""

    dataset: Dataset
    batches: Batches
    callbacks: Sequence[Sequence[keras.callbacks.Callback]]
    recorders: Sequence[Recorder]
    epochs: int
    keeper: Keeper


@contextmanager
def _moved(model: keras.Model, there: torch.device | None) -> Iterator[None]:
    """Let a model lie on a device, if one is named and the backend is torch."""
    if there is None or keras.backend.backend() != "torch":
        yield
        return
    home = device.of(model)
    device.place(model, there)
    try:
        yield
    finally:
        device.place(model, home)


def _fit_together(
    group: lockstep.LockstepGroup,
    training: _Training,
    before: Checkpoint | None,
    waiting: Sequence[int],
) -> None:
    """Train a group, from the checkpoint before, in which it had begun, or from the beginning."""
    if before is not None:
        group.stop(~np.isin(group.runs, before.training))
    keeper, epochs = training.keeper, training.epochs
    own = [training.callbacks[run] for run in group.runs]
    members = _Members(group, own, epochs, group.n_batches)
    for run in group.runs if before is not None else ():
        keeper.restore_callbacks(run)
    for epoch in range(before.epoch if before is not None else 0, epochs):
        members.on_epoch_begin(epoch)
        logs = group.train_epoch(epoch, members if members.want_batches else None)
        members.on_epoch_end(epoch, logs)
        last = epoch + 1 == epochs
        stopping = np.array([last or bool(model.stop_training) for model in group.models])
        for recorder in training.recorders:
            recorder.on_group_epoch_end(epoch, group, logs, stopping)
        members.on_stop(stopping, logs)
        group.stop(stopping)
        keeper.keep(epoch + 1, group.rows, group.runs, waiting)
        if stopping.all():
            break


def _fit_alone(group: SequentialGroup, training: _Training, waiting: Sequence[int]) -> None:
    (run,) = group.runs
    keeper = training.keeper
    goes_on = keeper.last is not None and run in keeper.last.training

    def beginning() -> None:
        if goes_on:
            keeper.restore_callbacks(run)

    def end_of_epoch(epoch: int, logs: dict[str, FloatArray], stops: bool) -> None:
        for recorder in training.recorders:
            recorder.on_group_epoch_end(epoch, group, logs, np.array([stops]))
        if not stops:
            keeper.keep(epoch + 1, group.runs, group.runs, waiting)

    first_epoch = keeper.last.epoch if keeper.last is not None and goes_on else 0
    callbacks = [*training.callbacks[run], EndOfEpoch(end_of_epoch, beginning)]
    group.fit(training.epochs, callbacks, first_epoch)
    keeper.keep(0, waiting[:1], (), waiting)


class _Members:
    """The Keras callbacks of each run in a group, driven as `model.fit` would drive them."""

    def __init__(
        self,
        group: lockstep.LockstepGroup,
        callbacks: Sequence[Sequence[keras.callbacks.Callback]],
        epochs: int,
        n_batches: int,
    ) -> None:
        self._group = group
        self._lists = {
            run: keras.callbacks.CallbackList(
                list(own), model=model, epochs=epochs, steps=n_batches, verbose=0
            )
            for run, model, own in zip(group.runs, group.models, callbacks, strict=True)
        }
        self.want_batches = any(
            getattr(type(callback), hook) is not getattr(keras.callbacks.Callback, hook)
            for own in callbacks
            for callback in own
            for hook in BATCH_HOOKS
        )
        for model in group.models:
            model.stop_training = False
        for callback_list in self._lists.values():
            callback_list.on_train_begin()

    def on_epoch_begin(self, epoch: int) -> None:
        for run in self._group.runs:
            self._lists[run].on_epoch_begin(epoch)

    def on_train_batch_begin(self, index: int) -> None:
        for run in self._group.runs:
            self._lists[run].on_train_batch_begin(index)

    def on_train_batch_end(self, index: int, logs: dict[str, FloatArray]) -> None:
        for row, run in enumerate(self._group.runs):
            self._lists[run].on_train_batch_end(index, _of_row(logs, row))

    def on_epoch_end(self, epoch: int, logs: dict[str, FloatArray]) -> None:
        for row, run in enumerate(self._group.runs):
            self._lists[run].on_epoch_end(epoch, _of_row(logs, row))

    def on_stop(self, stopping: BoolArray, logs: dict[str, FloatArray]) -> None:
        for row, run in enumerate(self._group.runs):
            if stopping[row]:
                self._lists[run].on_train_end(_of_row(logs, row))


def _of_row(logs: dict[str, FloatArray], row: int) -> dict[str, float]:
    return {name: float(values[row]) for name, values in logs.items()}
