"""What every store of experiments can do, and the value objects it answers with."""

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar

import numpy as np
import pandas as pd

from deep_bottleneck.errors import RecordError
from deep_bottleneck.interfaces import Status
from deep_bottleneck.machine.processes import is_alive
from deep_bottleneck.storage.document import NOTES, TAGS, check_kinds, must_be

ExperimentId = int | str
Key = TypeVar("Key")
Told = TypeVar("Told")
Read = TypeVar("Read")

logger = logging.getLogger(__name__)

# when the tags were chosen, so that the later choice wins where two copies differ
TAGGED = "tagged"
# Sacred beats every 10 seconds; a long computation may hold the interpreter for some of them.
LOST_AFTER = timedelta(minutes=2)


class MetricSummary(NamedTuple):
    """A metric in a few numbers, NaN where it has no value."""

    first: float
    last: float
    min: float
    max: float
    mean: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "MetricSummary":
        """Summarise the values of a metric in the order of their steps."""
        array = np.asarray(values or [np.nan], dtype=float)
        known = array if np.isnan(array).all() else array[~np.isnan(array)]
        return cls(*map(float, (array[0], array[-1], known.min(), known.max(), known.mean())))


@dataclass(frozen=True)
class StoredFile:
    """A file of an experiment, not read yet.

    Attributes:
        name: the name of the artifact.
        suffix: what kind of file it is, such as ".png"; "" if that is not known.
        size: its length in bytes.
        open: opens it for reading.
    """

    name: str
    suffix: str
    size: int
    open: Callable[[], BinaryIO] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Entry:
    """What is known of a stored experiment besides its config, metrics and files.

    Attributes:
        id: its id in its store.
        stored_status: the status as it was written last.
        start_time: in UTC, None if it has not started.
        stop_time: in UTC, None if it has not ended.
        heartbeat: when it last showed that it was alive, in UTC.
        result: what the experiment returned.
        artifacts: the names of its artifacts.
        details: everything else that Sacred stores: "experiment", "host", "meta", ...
        process_alive: whether it should have been running and its process was there; None where
            nobody could know.
    """

    id: ExperimentId
    stored_status: str
    start_time: datetime | None
    stop_time: datetime | None
    heartbeat: datetime | None
    result: Any
    artifacts: tuple[str, ...]
    details: Mapping[str, Any] = field(repr=False)
    process_alive: bool | None = None

    @classmethod
    def of(cls, id_: ExperimentId, run: Mapping[str, Any], artifacts: Iterable[str]) -> "Entry":
        """What is known of an experiment, out of what Sacred stores of it.

        Raises:
            AttributeError, KeyError, TypeError, ValueError: if that is not as it should be.
        """
        check_kinds(run)
        names = tuple(artifacts)
        for name in names:
            must_be(str, name, "the name of an artifact")
        return cls(
            id_,
            run.get("status") or "",
            utc(run.get("start_time")),
            utc(run.get("stop_time")),
            utc(run.get("heartbeat")),
            run.get("result"),
            names,
            run,
            _process_alive(run),
        )

    @property
    def status(self) -> str:
        """The stored status, but LOST for an experiment that should be running and does not.

        Its process tells, or else the time since its last sign.
        """
        if self.stored_status != Status.RUNNING:
            return self.stored_status
        alive = self.process_alive
        last_sign = self.heartbeat or self.start_time
        if alive is None:
            alive = last_sign is None or datetime.now(UTC) - last_sign <= LOST_AFTER
        return (Status.RUNNING if alive else Status.LOST).value

    @property
    def name(self) -> str:
        """The name of the experiment."""
        return self._experiment.get("name") or ""

    @property
    def sources(self) -> tuple[str, ...]:
        """The source files that were stored, by their path in the project."""
        return tuple(name for name, _ in self.kept_sources)

    @property
    def kept_sources(self) -> tuple[tuple[str, Any], ...]:
        """The source files, each with where the store keeps it."""
        return tuple((name, kept) for name, kept in self._experiment.get("sources") or ())

    @property
    def commit(self) -> str | None:
        """The commit of the project, None if it was under no version control."""
        repositories = self._experiment.get("repositories") or ()
        commits = (entry.get("commit") for entry in repositories)
        return next((str(commit) for commit in commits if commit), None)

    @property
    def tags(self) -> tuple[str, ...]:
        """What people have called it."""
        return tuple((self.details.get(NOTES) or {}).get(TAGS) or ())

    @property
    def _experiment(self) -> Mapping[str, Any]:
        return self.details.get("experiment") or {}


def is_gone(run: Mapping[str, Any]) -> bool:
    """Whether an experiment should be running, but its process has ended.

    Args:
        run: what Sacred stores of it.
    """
    return _process_alive(run) is False


def read_to_the_end(
    read: Callable[[Sequence[Key]], dict[Key, Told]],
    keys: Sequence[Key],
    is_gone: Callable[[Told], bool],
) -> dict[Key, Told]:
    """What processes have told; of one that is gone once more, since it may have told its end.

    Args:
        read: reads what those of these keys have told.
        keys: which of them.
        is_gone: whether a process that should be there, for what it has told, has ended.
    """
    told = read(keys)
    gone = [key for key, one in told.items() if is_gone(one)]
    return told | read(gone) if gone else told


class RecordStore(ABC):
    """A place where experiments are stored.

    Every call reads what is stored now. Calls for many experiments leave out those that are not
    there or cannot be read, and say so in the log.
    """

    @abstractmethod
    def ids(self) -> list[ExperimentId]:
        """The ids of all experiments, in the order of `sort_key`."""

    def at_once(self, ids: Sequence[ExperimentId] | None = None) -> "RecordStore":
        """The same experiments, for one question that asks for several things.

        A store may then read status, times, results, tags and hyperparameters together, and once,
        so ask for a new one for each question. Its entries may lack name, sources and commit.

        Args:
            ids: of which experiments, None for all.
        """
        return self

    @abstractmethod
    def check(self, experiment_id: ExperimentId) -> None:
        """Make sure that an experiment is there and can be read.

        Raises:
            RecordError: if it is not.
        """

    def check_whole(self, experiment_id: ExperimentId) -> None:
        """Make sure that all of an experiment can be read, however long that takes.

        Raises:
            RecordError: if something cannot.
        """
        self.check(experiment_id)
        if lacking := self.lacking(experiment_id):
            raise RecordError(f"not all of experiment {experiment_id} is there: {listed(lacking)}")

    @abstractmethod
    def entry(self, experiment_id: ExperimentId) -> Entry:
        """What is known of an experiment.

        Raises:
            RecordError: if it is not there, or cannot be read.
        """

    @abstractmethod
    def lacking(self, experiment_id: ExperimentId) -> dict[str, str]:
        """Why artifacts, or sources, that an experiment names cannot be read, by their names.

        Raises:
            RecordError: if there is no such experiment, or it cannot be read.
        """

    @abstractmethod
    def entries(self, ids: Sequence[ExperimentId]) -> dict[ExperimentId, Entry]:
        """What is known of experiments."""

    @abstractmethod
    def configs(self, ids: Sequence[ExperimentId]) -> dict[ExperimentId, dict[str, Any]]:
        """The hyperparameters of experiments."""

    @abstractmethod
    def metrics(
        self, ids: Sequence[ExperimentId], names: Iterable[str] | None = None
    ) -> dict[ExperimentId, dict[str, pd.Series]]:
        """Metrics of experiments, each a float64 series indexed by its step.

        Args:
            ids: of which experiments.
            names: which metrics, None for all; one that an experiment lacks is left out.
        """

    @abstractmethod
    def summaries(
        self, ids: Sequence[ExperimentId], names: Iterable[str]
    ) -> dict[ExperimentId, dict[str, MetricSummary]]:
        """Metrics of experiments in a few numbers, faster than the metrics themselves."""

    @abstractmethod
    def files(self, experiment_id: ExperimentId) -> dict[str, StoredFile]:
        """The artifacts of an experiment by name.

        Raises:
            RecordError: if there is no such experiment, or it cannot be read.
        """

    def growing(self, experiment_id: ExperimentId) -> dict[str, StoredFile]:
        """The tables that an experiment which runs has begun to write; they are no artifacts yet.

        There are none where a store gets tables only when they are whole.
        """
        return {}

    @abstractmethod
    def attach(self, experiment_id: ExperimentId, path: Path, name: str) -> None:
        """Add a copy of a file to the artifacts of an experiment that has ended.

        Raises:
            RecordError: if there is no such experiment, it has not ended, or has such an artifact.
        """

    @abstractmethod
    def tag(self, experiment_id: ExperimentId, tags: Sequence[str]) -> None:
        """Replace the tags of an experiment that has ended.

        Raises:
            RecordError: if there is no such experiment, or it has not ended.
        """

    @abstractmethod
    def delete(self, experiment_id: ExperimentId) -> None:
        """Delete an experiment with its metrics and artifacts.

        Raises:
            RecordError: if there is no such experiment.
        """

    @abstractmethod
    def mark_lost(self, experiment_id: ExperimentId) -> None:
        """Store that an experiment is LOST, and ended when it last gave a sign.

        Raises:
            RecordError: if there is no such experiment, or it is not LOST.
        """


def readable(
    ids: Iterable[ExperimentId], read: Callable[[ExperimentId], Read]
) -> dict[ExperimentId, Read]:
    """What can be read of each experiment, the others named in the log."""
    found = {}
    for id_ in ids:
        try:
            found[id_] = read(id_)
        except RecordError as error:
            logger.warning("Left out: %s", error)
    return found


def series_of(name: str, metric: Mapping[str, Any]) -> pd.Series:
    """The values of a metric by their steps, out of what Sacred stores of it.

    Raises:
        KeyError, TypeError, ValueError: if it is not as Sacred stores one.
    """
    for part in ("steps", "values"):
        require_list(name, part, metric[part])
    steps = np.asarray(metric["steps"])
    if steps.size and steps.dtype.kind not in "iuf":
        raise TypeError(f"the steps of {name} are no numbers")
    return pd.Series(metric["values"], pd.Index(metric["steps"], name="step"), float, name)


def require_list(name: str, part: str, values: object) -> None:
    """Say that a part of a metric, such as its steps, is something else than a list.

    Raises:
        TypeError: if it is.
    """
    if not isinstance(values, list):
        raise TypeError(f"the {part} of {name} are no list")


def listed(reasons: Mapping[str, str]) -> str:
    """Names and what is wrong with each."""
    return "; ".join(f"{name} ({reason})" for name, reason in reasons.items())


def not_ended(place: object, entry: Entry, what: str) -> str:
    """Why an experiment cannot be changed yet."""
    return (
        f"Experiment {entry.id} in {place} is {entry.status}; {what} once it has ended "
        "(storage doctor ends one that is LOST)"
    )


def notes_with(tags: Sequence[str]) -> dict[str, Any]:
    """Tags as they are stored, with the time of now."""
    return {TAGS: list(tags), TAGGED: datetime.now(UTC).isoformat(timespec="microseconds")}


def has_later_tags(stored: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether tags were chosen for a copy of an experiment after those of another copy were.

    Args:
        stored: the one, as Sacred stores it in `run.json` or the collection "runs".
        other: the other.
    """
    notes, others = stored.get(NOTES) or {}, other.get(NOTES) or {}
    if TAGGED not in others and not others.get(TAGS):
        return bool(notes.get(TAGS))
    return str(notes.get(TAGGED, "")) > str(others.get(TAGGED, ""))


def as_id(text: str | int) -> ExperimentId:
    """An id as it is stored, from the way a folder or a command line writes it."""
    if not isinstance(text, str) or not re.fullmatch(r"0|[1-9][0-9]{0,17}", text):
        return text
    return int(text)


def sort_key(experiment_id: ExperimentId) -> tuple[bool, ExperimentId]:
    """Numbers in their order, then other ids in theirs."""
    is_number = isinstance(experiment_id, int)
    return not is_number, experiment_id if is_number else str(experiment_id)


def utc(time: str | datetime | None) -> datetime | None:
    """A stored time, which is in UTC, to the millisecond that databases keep."""
    if time is None:
        return None
    if isinstance(time, str):
        time = datetime.fromisoformat(time)
    try:
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{time} is no time in UTC") from None
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def _process_alive(run: Mapping[str, Any]) -> bool | None:
    """Whether an experiment's process is there, None where nobody can know, or it has ended."""
    host = run.get("host")
    process = host.get("process") if isinstance(host, Mapping) else None
    if not isinstance(process, str) or run.get("status") != Status.RUNNING:
        return None
    return is_alive(process)
