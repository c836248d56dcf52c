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
from deep_bottleneck.training import memory
from deep_bottleneck.training.batches import Batches
from deep_bottleneck.training.checkpoint import Checkpoint
from deep_bottleneck.training.continuation import Checkpoints
from deep_bottleneck.training.keeper import Keeper
from deep_bottleneck.training.lockstep import obstacles
from deep_bottleneck.training.lockstep.compiled import CompiledGroup
from deep_bottleneck.training.lockstep.convolutions import slower_together
from deep_bottleneck.training.members import Members
from deep_bottleneck.training.recorder import Recorder
from deep_bottleneck.training.sequential import EndOfEpoch, SequentialGroup

logger = logging.getLogger(__name__)


class Ensemble:
    """Trains several Keras models of one architecture.

    On the jax backend all models take every step together, as rows of one computation; on others,
    and where a model cannot be trained so, `model.fit` trains one after the other. Which of the two
    it was does not show in the results: a run starts from its own weights and sees the same batches
    either way.
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
            device: where to train, on the jax and the torch backend; None for the CPU. The models
                are afterwards where they were.
            memory: how many bytes to use there, by the estimate of `memory`; where all runs would
                take more, they train in groups, one after the other. None for most of what is free
                on a CUDA device, and for no limit on a CPU.
        """
        self.models = list(models)
        self.seed = seed
        self.device = device or torch.device("cpu")
        self.memory = memory

    def fit(
        self,
        dataset: Dataset,
        epochs: int,
        batch_size: int,
        steps_per_epoch: int | None = None,
        *,
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
        try:
            if not keeper.is_complete:
                with device.chosen(self.device):
                    obstacle = self._fit_together(training)
                    if obstacle is not None:
                        logger.info(
                            "Training the runs one after the other with model.fit, since %s.",
                            obstacle,
                        )
                        self._fit_one_by_one(training)
        except BaseException:
            for recorder in recorders:
                recorder.give_up()
            raise
        finally:
            for recorder in recorders:
                recorder.on_train_end()

    def _fit_together(self, training: "_Training") -> str | None:
        """Train the runs in lock-step, one group after the other; why not, if they cannot be."""
        obstacle = obstacles.obstacle(self.models)
        if obstacle is not None:
            return obstacle
        size = self._runs_at_a_time(training)
        for group in groups(training.keeper.last, len(self.models), size):
            models = [self.models[run] for run in group.rows]
            try:
                stacked = CompiledGroup(
                    models, group.rows, training.dataset, training.batches, self.device
                )
            except obstacles.ObstacleError as error:
                return str(error)
            if group.waiting:
                logger.info(
                    "Training %d runs; %d others follow.", len(group.rows), len(group.waiting)
                )
            _train_together(stacked, group, training)
            stacked.release()
        return None

    def _runs_at_a_time(self, training: "_Training") -> int:
        dataset = training.dataset
        if self.device.type == "cpu" and slower_together(self.models[0], dataset.input_shape):
            return 1
        limit = memory.budget(self.device) if self.memory is None else self.memory
        return memory.runs_at_a_time(self.models, dataset, training.batches, limit)

    def _fit_one_by_one(self, training: "_Training") -> None:
        for group in single_runs(training.keeper.last, len(self.models)):
            (run,) = group.rows
            model = self.models[run]
            with _moved(model, self.device):
                alone = SequentialGroup(model, run, training.dataset, training.batches)
                _train_alone(alone, group, training)


@dataclass(frozen=True)
class Group:
    """Runs that train together, and where they begin.

    Attributes:
        epoch: the first epoch to train.
        rows: the runs that are stacked, also those that have stopped.
        training: those that still train.
        waiting: the runs whose turn comes later.
    """

    epoch: int
    rows: Sequence[int]
    training: Sequence[int]
    waiting: Sequence[int]


def groups(last: Checkpoint | None, n_runs: int, size: int) -> Iterator[Group]:
    """The groups in which runs train, one after the other.

    Args:
        last: the checkpoint to go on from: first comes the group that had begun.
        n_runs: how many runs there are.
        size: how many may train together.
    """
    waiting: Sequence[int] = range(n_runs) if last is None else last.waiting
    if last is not None and last.training:
        yield Group(last.epoch, last.rows, last.training, waiting)
    while waiting:
        runs, waiting = waiting[:size], waiting[size:]
        yield Group(0, runs, runs, waiting)


def single_runs(last: Checkpoint | None, n_runs: int) -> Iterator[Group]:
    """The same where each run trains by itself."""
    begun = () if last is None else last.training
    runs = range(n_runs) if last is None else (*begun, *last.waiting)
    for position, run in enumerate(runs):
        epoch = last.epoch if last is not None and run in begun else 0
        yield Group(epoch, (run,), (run,), runs[position + 1 :])


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
def _moved(model: keras.Model, there: torch.device) -> Iterator[None]:
    """Let a model lie on a device, if the backend is torch; jax takes it there by itself."""
    if keras.backend.backend() != "torch":
        yield
        return
    home = device.of(model)
    device.place(model, there)
    try:
        yield
    finally:
        device.place(model, home)


def _train_together(stacked: CompiledGroup, group: Group, training: _Training) -> None:
    keeper, epochs = training.keeper, training.epochs
    stacked.stop(~np.isin(stacked.runs, group.training))
    members = Members(stacked, [training.callbacks[run] for run in stacked.runs], epochs)
    for run in stacked.runs:
        keeper.begin(run)
    for epoch in range(group.epoch, epochs):
        members.on_epoch_begin(epoch)
        last = epoch + 1 == epochs
        logs = stacked.train_epoch(epoch, members, more=not last)
        members.on_epoch_end(epoch, logs)
        stopping = members.stops | last
        for recorder in training.recorders:
            recorder.on_group_epoch_end(epoch, stacked, logs, stopping)
        runs = stacked.runs
        stacked.stop(stopping)
        members.on_stop(runs, stopping, logs)
        if stopping.all():
            break
        keeper.keep(epoch + 1, stacked.rows, stacked.runs, group.waiting)
    keeper.keep_between(group.waiting)


def _train_alone(alone: SequentialGroup, group: Group, training: _Training) -> None:
    (run,) = group.rows
    keeper = training.keeper

    def end_of_epoch(epoch: int, logs: dict[str, FloatArray], stops: BoolArray) -> None:
        for recorder in training.recorders:
            recorder.on_group_epoch_end(epoch, alone, logs, stops)
        if not stops.any():
            keeper.keep(epoch + 1, group.rows, group.rows, group.waiting)

    def begin() -> None:
        keeper.begin(run)

    callbacks = [*training.callbacks[run], EndOfEpoch(alone, end_of_epoch, begin)]
    alone.fit(training.epochs, callbacks, group.epoch)
    keeper.keep_between(group.waiting)
