"""Where training is, so that another process can go on from there as if nothing had happened."""

import logging
import pickle
import random
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType
from typing import Any

import keras
import numpy as np
import pandas as pd
import torch

from deep_bottleneck.errors import RecordError
from deep_bottleneck.interfaces import Record
from deep_bottleneck.machine.whole_file import write_whole
from deep_bottleneck.storage.folder_store import INFO_FILE, read_json
from deep_bottleneck.storage.names import CHECKPOINT, CONTINUES
from deep_bottleneck.training.preemption import Preemption

logger = logging.getLogger(__name__)

SECONDS_BETWEEN = 60.0
_PLAIN = (bool, int, float, str, bytes, np.ndarray, np.generic, pd.DataFrame, type(None))
_UNREADABLE = (
    OSError,
    EOFError,
    AttributeError,
    ImportError,
    TypeError,
    pickle.PickleError,
)

Gathered = dict[str, Any]
"""What a callback has gathered so far."""


@dataclass(frozen=True)
class Checkpoint:
    """The state of training between two epochs.

    Attributes:
        epoch: the epoch to go on with.
        rows: the runs that are stacked, or the one that trains alone.
        training: those runs that still train.
        waiting: runs that have not begun, where one trains after the other.
        models: for each run the values of its weights and of its optimizer's variables.
        callbacks: what the callbacks of each run have gathered.
        recorders: what the recorders have gathered.
        logged: name, value and step of the metrics logged so far.
        random: the states of Python's, NumPy's and torch's global generators.
    """

    epoch: int
    rows: tuple[int, ...]
    training: tuple[int, ...]
    waiting: tuple[int, ...] = ()
    models: tuple[list[Any], ...] = ()
    callbacks: tuple[tuple[Gathered, ...], ...] = ()
    recorders: tuple[Gathered, ...] = ()
    logged: tuple[tuple[str, float, int], ...] = ()
    random: tuple[Any, ...] = field(default_factory=lambda: _random_state())

    @property
    def is_complete(self) -> bool:
        """Whether all training has ended."""
        return not self.training and not self.waiting

    def restore_models(self, models: Sequence[keras.Model]) -> None:
        """Give each model its weights and its optimizer's variables, and set the generators."""
        for model, values in zip(models, self.models, strict=True):
            for variable, value in zip(_variables(model), values, strict=True):
                variable.assign(value)
        python, numpy_state, torch_state = self.random
        random.setstate(python)
        np.random.set_state(numpy_state)  # noqa: NPY002
        torch.set_rng_state(torch_state)


class Checkpoints:
    """Stores checkpoints of one experiment, the last in place of the one before."""

    def __init__(
        self,
        folder: Path,
        preemption: Preemption,
        before: Path | None = None,
        seconds_between: float = SECONDS_BETWEEN,
    ) -> None:
        """Look for a checkpoint to go on from.

        Args:
            folder: the folder of the experiment.
            preemption: says whether the time is up.
            before: the folder of the experiment to go on from.
            seconds_between: how long to train before the next is stored.
        """
        self.preemption = preemption
        self.before = before
        self.logged: list[tuple[str, float, int]] = []
        self.last = _read(before) if before else None
        self._path = folder / CHECKPOINT
        self._seconds = seconds_between
        self._stored_at = time.monotonic()

    def noted(self, record: Record) -> Record:
        """A record whose metrics checkpoints remember; those of the last are logged at once."""
        noting = _NotingRecord(record, self.logged)
        for name, value, step in self.last.logged if self.last else ():
            noting.log_scalar(name, value, step)
        return noting

    def due(self, at_end: bool) -> bool:
        """Whether to store one now: now and then, at the end of training, and at the last minute.

        Args:
            at_end: whether training has come to its end.
        """
        waited = time.monotonic() - self._stored_at
        return at_end or self.preemption.requested or waited >= self._seconds

    def store(self, checkpoint: Checkpoint) -> None:
        """Store it, so that a kill leaves this one or the one before, and end if time is up.

        Raises:
            TimeIsUp: if it is.
        """
        write_whole(self._path, pickle.dumps(checkpoint))
        self._stored_at = time.monotonic()
        self.preemption.end_if_requested()

    def predecessors(self) -> Iterator[Path]:
        """The folders of the experiments that this one goes on from, the last first."""
        folder = self.before
        while folder is not None:
            yield folder
            try:
                name = read_json(folder / INFO_FILE).get(CONTINUES)
            except RecordError:
                return
            folder = folder.parent / name if name else None

    def forget(self) -> None:
        """Remove what a complete experiment needs no more."""
        for folder in (self._path.parent, *self.predecessors()):
            (folder / CHECKPOINT).unlink(missing_ok=True)


class _NotingRecord:
    """A record as it is, that notes the metrics."""

    def __init__(self, record: Record, logged: list[tuple[str, float, int]]) -> None:
        self._record = record
        self._logged = logged

    def log_scalar(self, name: str, value: float, step: int) -> None:
        self._logged.append((name, value, step))
        self._record.log_scalar(name, value, step)

    def add_artifact(self, filename: str, name: str) -> None:
        self._record.add_artifact(filename, name=name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._record, name)


def state_of(model: keras.Model) -> list[Any]:
    """The values of a model's weights and of its optimizer's variables."""
    return [keras.ops.convert_to_numpy(variable.value) for variable in _variables(model)]


def gathered(callback: keras.callbacks.Callback) -> Gathered:
    """What a callback has gathered: attributes that are plain values, or functions with a name."""
    return {name: value for name, value in vars(callback).items() if _is_plain(value)}


def give_back(callback: keras.callbacks.Callback, values: Gathered) -> None:
    """Let a callback have what it had gathered."""
    vars(callback).update(values)


def _variables(model: keras.Model) -> list[Any]:
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    return [*model.variables, *model.optimizer.variables]


def _is_plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(_is_plain(key) and _is_plain(held) for key, held in value.items())
    if isinstance(value, list | tuple | set | frozenset | deque):
        return all(map(_is_plain, value))
    return isinstance(value, _PLAIN) or _has_a_name(value)


def _has_a_name(value: object) -> bool:
    """Whether a value is a function that can be found by its name, such as `keras.ops.less`."""
    if not isinstance(value, FunctionType):
        return False
    return getattr(sys.modules.get(value.__module__), value.__qualname__, None) is value


def _random_state() -> tuple[Any, ...]:
    return random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002


def _read(folder: Path) -> Checkpoint | None:
    """The checkpoint in an experiment's folder, None if there is none that can be read."""
    path = folder / CHECKPOINT
    try:
        # our own file, from the folder of our own records
        checkpoint = pickle.loads(path.read_bytes())  # noqa: S301
    except _UNREADABLE as error:
        logger.warning("%s cannot be gone on from (%s): training starts anew", path, error)
        return None
    return checkpoint if isinstance(checkpoint, Checkpoint) else None
