"""From where an experiment goes on, and where it stores its own checkpoints."""

import logging
import time
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import keras

from deep_bottleneck.errors import RecordError
from deep_bottleneck.interfaces import Record
from deep_bottleneck.storage.folder_store import CONFIG_FILE, INFO_FILE
from deep_bottleneck.storage.names import (
    CHECKPOINT,
    CONTINUES,
    FORMER_CHECKPOINT,
    USELESS_CHECKPOINT,
    left_unfinished,
)
from deep_bottleneck.storage.own_files import read_json
from deep_bottleneck.training.checkpoint import Checkpoint, read, write
from deep_bottleneck.training.gathered import class_of
from deep_bottleneck.training.preemption import Preemption
from deep_bottleneck.training.recorder import Recorder

logger = logging.getLogger(__name__)

SECONDS_BETWEEN = 60.0

Callbacks = Sequence[Sequence[keras.callbacks.Callback]]
"""For each run its own ordinary Keras callbacks."""


class Checkpoints:
    """The checkpoints of one experiment: the one it goes on from, and those it stores.

    Attributes:
        last: the checkpoint to go on from, None to start anew.
        logged: name, value and step of all metrics so far.
        preemption: says whether the time is up.
    """

    def __init__(
        self,
        folder: Path,
        preemption: Preemption,
        before: Path | None = None,
        seconds_between: float = SECONDS_BETWEEN,
    ) -> None:
        """Look for a checkpoint to go on from.

        Where that of the experiment before cannot be read, the log says so, and it is that of the
        last experiment before it that left one.

        Args:
            folder: the folder of the experiment.
            preemption: says whether the time is up.
            before: the folder of the experiment to go on from.
            seconds_between: how long to train before the next is stored.
        """
        self.preemption = preemption
        self.logged: list[tuple[str, float, int]] = []
        self.last: Checkpoint | None = None
        self._folder_before: Path | None = None
        self._before = before
        self._path = folder / CHECKPOINT
        self._seconds = seconds_between
        self._stored_at = time.monotonic()
        self._record: _NotingRecord | None = None
        self._look_for_last()

    def noted(self, record: Record) -> Record:
        """A record whose metrics checkpoints remember."""
        self._record = _NotingRecord(record, self.logged)
        return self._record

    def log_again(self) -> None:
        """Log the metrics of the last checkpoint."""
        if self.last is not None and self._record is not None:
            for name, value, step in self.last.logged:
                self._record.log_scalar(name, value, step)

    def goes_on_from(
        self, models: Sequence[keras.Model], callbacks: Callbacks, recorders: Sequence[Recorder]
    ) -> Path | None:
        """The folder whose checkpoint is gone on from, if it was made with these.

        One that was not is forgotten, and the log says so.
        """
        last = self.last
        if last is not None and not (
            last.is_of(models) and last.made_by == made_by(callbacks, recorders)
        ):
            logger.warning(
                "%s holds a checkpoint of another model or other callbacks: training starts anew",
                self._folder_before,
            )
            self.last = self._folder_before = self._before = None
        return self._folder_before

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
        write(checkpoint, self._path)
        self._stored_at = time.monotonic()
        self.preemption.end_if_requested()

    def set_aside(self) -> None:
        """Let no later experiment go on from the last checkpoint."""
        for folder in filter(None, (self._path.parent, self._folder_before)):
            if (folder / CHECKPOINT).exists():
                (folder / CHECKPOINT).replace(folder / USELESS_CHECKPOINT)

    def predecessors(self) -> Iterator[Path]:
        """The folders of the experiments that this one goes on from, the last first.

        All have its config, and lie beside each other.
        """
        folder, seen = self._before, {self._path.parent}
        while folder is not None and folder not in seen and self._has_config_of(folder):
            seen.add(folder)
            yield folder
            try:
                name = read_json(folder / INFO_FILE).get(CONTINUES)
            except RecordError:
                return
            if not isinstance(name, str) or name in ("", "..") or Path(name).name != name:
                return
            beside = folder.parent / name
            folder = beside if beside.is_dir() else None

    def forget(self) -> None:
        """Remove what a complete experiment needs no more."""
        for folder in (self._path.parent, *self.predecessors()):
            for name in (CHECKPOINT, FORMER_CHECKPOINT, USELESS_CHECKPOINT):
                (folder / name).unlink(missing_ok=True)

    def _look_for_last(self) -> None:
        if self._before is not None and not self._has_config_of(self._before):
            logger.warning(
                "%s holds no checkpoint of this config: training starts anew", self._before
            )
            self._before = None
        reasons = []
        for folder in self.predecessors():
            if folder != self._before and not left_unfinished(folder):
                continue
            try:
                self.last, self._folder_before = self._read(folder), folder
                break
            except RecordError as error:
                reasons.append(error)
        outcome = "starts anew" if self.last is None else f"goes on from {self._folder_before}"
        for reason in reasons:
            logger.warning("%s: training %s", reason, outcome)

    @staticmethod
    def _read(folder: Path) -> Checkpoint:
        """The checkpoint in a folder.

        Raises:
            RecordError: if there is none that can be read.
        """
        if not (folder / CHECKPOINT).exists() and (folder / FORMER_CHECKPOINT).exists():
            raise RecordError(
                f"{folder / FORMER_CHECKPOINT} was written by an earlier version of deep-bottleneck"
            )
        return read(folder / CHECKPOINT)

    def _has_config_of(self, folder: Path) -> bool:
        """Whether an experiment has the config of this one, if both have stored theirs."""
        configs = [one / CONFIG_FILE for one in (self._path.parent, folder)]
        if not all(path.exists() for path in configs):
            return True
        try:
            ours, theirs = map(read_json, configs)
        except RecordError:
            return False
        return ours == theirs


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


def made_by(callbacks: Callbacks, recorders: Sequence[Recorder]) -> tuple[str, ...]:
    """The classes of the recorders, and of the callbacks of all runs."""
    return tuple(map(class_of, (*recorders, *chain.from_iterable(callbacks))))
