"""Experiments in a folder, as the local record leaves them: one folder for each."""

import fcntl
import logging
import shutil
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from deep_bottleneck.errors import RecordError
from deep_bottleneck.interfaces import Status
from deep_bottleneck.machine.disk_space import give_up_reserve
from deep_bottleneck.machine.whole_file import in_place_of
from deep_bottleneck.storage.base import (
    Entry,
    ExperimentId,
    MetricSummary,
    RecordStore,
    StoredFile,
    as_id,
    is_gone,
    not_ended,
    notes_with,
    read_to_the_end,
    readable,
    series_of,
    sort_key,
)
from deep_bottleneck.storage.document import NOTES
from deep_bottleneck.storage.identity import identity_of
from deep_bottleneck.storage.names import CHECKPOINT, STORE_NAME, is_of_experiment, is_plain
from deep_bottleneck.storage.own_files import (
    flaw,
    is_there,
    open_own,
    read_json,
    reading,
    write_json,
)
from deep_bottleneck.storage.summaries import read_summaries

logger = logging.getLogger(__name__)

RUN_FILE = "run.json"
CONFIG_FILE = "config.json"
METRICS_FILE = "metrics.json"
OUTPUT_FILE = "cout.txt"
INFO_FILE = "info.json"
OWN_FILES = frozenset({RUN_FILE, CONFIG_FILE, METRICS_FILE, OUTPUT_FILE, INFO_FILE})
SOURCES_FOLDER = "_sources"
# in `run.json`: what found no space on a full disk
MISSING = "missing"
TABLE_SUFFIX = ".csv"
# two that change a record at once would lose what one of them has written
_LOCK = ".changes.lock"


class FolderStore(RecordStore):
    """The experiments below a folder.

    Attributes:
        folder: where they are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __repr__(self) -> str:
        return f"FolderStore({str(self.folder)!r})"

    def ids(self) -> list[ExperimentId]:
        """The ids of all experiments: the folders that have a `run.json`.

        Raises:
            RecordError: if there is no such folder, or it cannot be read.
        """
        names = filter(is_of_experiment, self._names())
        found = [name for name in names if is_there(self.folder / name / RUN_FILE)]
        return sorted(map(as_id, found), key=sort_key)

    def check(self, experiment_id: ExperimentId) -> None:
        """Make sure that an experiment is there and can be read."""
        self.config(experiment_id)
        self.entry(experiment_id)

    def check_whole(self, experiment_id: ExperimentId) -> None:
        """Make sure that every file of an experiment can be read."""
        self.check(experiment_id)
        self._metrics(experiment_id, None)
        self.info(experiment_id)
        output = self.folder_of(experiment_id) / OUTPUT_FILE
        if is_there(output):
            open_own(output).close()
        super().check_whole(experiment_id)

    def lacking(self, experiment_id: ExperimentId) -> dict[str, str]:
        """Why artifacts, or sources, that an experiment names cannot be read, by their names."""
        kept = self.entry(experiment_id).kept_sources
        flaws = {name: self._flaw_of_source(path) for name, path in kept}
        found = {name: flaw_of_one for name, flaw_of_one in flaws.items() if flaw_of_one}
        return self.lacking_artifacts(experiment_id) | found

    def lacking_artifacts(self, experiment_id: ExperimentId) -> dict[str, str]:
        """Why artifacts of an experiment cannot be read, by their names.

        Raises:
            RecordError: if there is no such experiment, or it cannot be read.
        """
        found = {name: _flaw(path) for name, path in self._artifacts(experiment_id).items()}
        for name in self.document(experiment_id).get(MISSING) or ():
            found[str(name)] = "it could not be written"
        return {name: reason for name, reason in found.items() if reason}

    def source(self, kept: object) -> Path:
        """Where a source is.

        Args:
            kept: where it is in the words of `run.json`, `_sources/<name>`.

        Raises:
            RecordError: if that leads elsewhere.
        """
        parts = Path(kept).parts if isinstance(kept, str) else ()
        if len(parts) != 2 or parts[0] != SOURCES_FOLDER or not is_plain(parts[1]):
            raise RecordError(f"{kept!r} is no file of the record")
        return self.folder.joinpath(*parts)

    def _flaw_of_source(self, kept: object) -> str | None:
        try:
            return flaw(self.source(kept))
        except RecordError as error:
            return str(error)

    def entries(self, ids: Sequence[ExperimentId]) -> dict[ExperimentId, Entry]:
        """What is known of experiments."""
        return readable(ids, self.entry)

    def configs(self, ids: Sequence[ExperimentId]) -> dict[ExperimentId, dict[str, Any]]:
        """The hyperparameters of experiments."""
        return readable(ids, self.config)

    def metrics(
        self, ids: Sequence[ExperimentId], names: Iterable[str] | None = None
    ) -> dict[ExperimentId, dict[str, pd.Series]]:
        """Metrics of experiments."""
        wanted = None if names is None else set(names)
        return readable(ids, partial(self._metrics, names=wanted))

    def summaries(
        self, ids: Sequence[ExperimentId], names: Iterable[str]
    ) -> dict[ExperimentId, dict[str, MetricSummary]]:
        """Metrics of experiments in a few numbers."""
        wanted = set(names)

        def read(experiment_id: ExperimentId) -> dict[str, MetricSummary]:
            path = self.folder_of(experiment_id) / METRICS_FILE
            found = read_summaries(path)
            with reading(path):
                if found is None:
                    metrics = self.series(experiment_id)
                    chosen = metrics.keys() & wanted
                    return {name: MetricSummary.of(metrics[name]["values"]) for name in chosen}
                chosen = found.keys() & wanted
                return {name: MetricSummary(*map(float, found[name])) for name in chosen}

        return readable(ids, read)

    def files(self, experiment_id: ExperimentId) -> dict[str, StoredFile]:
        """The artifacts of an experiment whose file is there; the log names the others."""
        found = {}
        for name, path in self._artifacts(experiment_id).items():
            reason = _flaw(path)
            if path is None or reason:
                logger.warning(
                    "Left out: %s of %s (%s)", name, self.folder_of(experiment_id), reason
                )
            else:
                size = path.lstat().st_size
                found[name] = StoredFile(name, path.suffix, size, partial(open_own, path))
        return found

    def growing(self, experiment_id: ExperimentId) -> dict[str, StoredFile]:
        """The tables in the folder of an experiment that runs which are no artifacts of it yet."""
        entry = self.entry(experiment_id)
        if entry.status != Status.RUNNING:
            return {}
        return {
            path.stem: StoredFile(
                path.stem, path.suffix, path.lstat().st_size, partial(open_own, path)
            )
            for path in self.folder_of(experiment_id).glob(f"*{TABLE_SUFFIX}")
            if path.stem not in entry.artifacts and not flaw(path)
        }

    def attach(self, experiment_id: ExperimentId, path: Path, name: str) -> None:
        """Add a copy of a file to the artifacts of an experiment that has ended."""
        entry = self.entry(experiment_id)
        target = self.folder_of(experiment_id) / artifact_file_name(name, path.suffix)
        if entry.stored_status == Status.RUNNING:
            raise RecordError(not_ended(self, entry, "results can be attached"))
        if name in self.files(experiment_id) or is_there(target):
            raise RecordError(f"{target.parent} has an artifact {name} already: choose a new name")
        with in_place_of(target) as unfinished:
            shutil.copyfile(path, unfinished)
            # named first: a name without a file can be attached again after a kill
            with self._changing(experiment_id) as stored:
                artifacts = stored.get("artifacts") or ()
                stored["artifacts"] = list(dict.fromkeys([*artifacts, name]))

    def tag(self, experiment_id: ExperimentId, tags: Sequence[str]) -> None:
        """Replace the tags of an experiment that has ended."""
        entry = self.entry(experiment_id)
        if entry.stored_status == Status.RUNNING:
            raise RecordError(not_ended(self, entry, "tags can be changed"))
        with self._changing(experiment_id) as stored:
            stored[NOTES] = (stored.get(NOTES) or {}) | notes_with(tags)

    def delete(self, experiment_id: ExperimentId) -> None:
        """Delete the folder of an experiment; sources, which others share, stay."""
        path = self.folder_of(experiment_id)
        if not is_there(path / RUN_FILE):
            raise RecordError(f"{path} is no experiment: there is no {RUN_FILE}")
        try:
            shutil.rmtree(path)
        except OSError as error:
            raise RecordError(f"{path} cannot be deleted: {error}") from None

    def mark_lost(self, experiment_id: ExperimentId) -> None:
        """Store that an experiment is LOST, and ended when it last gave a sign."""
        entry = self.entry(experiment_id)
        folder = self.folder_of(experiment_id)
        if entry.status != Status.LOST:
            raise RecordError(f"{folder}: the experiment is {entry.status}, not LOST")
        give_up_reserve(folder)
        with self._changing(experiment_id) as stored:
            end = stored.get("heartbeat") or stored.get("start_time")
            stored |= {"status": Status.LOST, "stop_time": end}

    def folder_of(self, experiment_id: ExperimentId) -> Path:
        """The folder of an experiment, whether it exists or not.

        Raises:
            RecordError: if the id can be that of no folder in this one.
        """
        if not is_of_experiment(str(experiment_id)):
            raise RecordError(f"{str(experiment_id)!r} cannot be the folder of an experiment")
        return self.folder / str(experiment_id)

    def identities(self) -> dict[str, ExperimentId]:
        """The ids of all readable experiments by what makes them the same in every store."""

        def read(experiment_id: ExperimentId) -> str:
            document = self.document(experiment_id)
            with reading(self.folder_of(experiment_id) / RUN_FILE):
                return identity_of(document, experiment_id)

        identities = readable(self.ids(), read)
        return {identity: id_ for id_, identity in identities.items()}

    def adopt(self, folder: Path, preferred: ExperimentId) -> ExperimentId:
        """Move a complete record here, under its id or the next number that is free.

        Args:
            folder: the record.
            preferred: its id, which another store has given it: it may be that of no folder.

        Returns:
            The id it has now.
        """
        experiment_id = preferred if is_of_experiment(str(preferred)) else 1
        while True:
            # making a folder claims its id: of several processes only one can
            try:
                self.folder_of(experiment_id).mkdir()
            except FileExistsError:
                ids = map(as_id, self._names())
                experiment_id = max((id_ for id_ in ids if isinstance(id_, int)), default=0) + 1
            else:
                folder.rename(self.folder_of(experiment_id))
                return experiment_id

    def document(self, experiment_id: ExperimentId) -> dict[str, Any]:
        """Everything in the record's `run.json`.

        Raises:
            RecordError: if it is not there, or cannot be read.
        """
        return read_json(self.folder_of(experiment_id) / RUN_FILE)

    def entry(self, experiment_id: ExperimentId) -> Entry:
        """What is known of an experiment.

        Raises:
            RecordError: if it is not there, or cannot be read.
        """
        with reading(self.folder_of(experiment_id) / RUN_FILE):
            documents = read_to_the_end(self._documents, [experiment_id], is_gone)
            stored = documents[experiment_id]
            return Entry.of(experiment_id, stored, stored.get("artifacts") or ())

    def config(self, experiment_id: ExperimentId) -> dict[str, Any]:
        """The hyperparameters of an experiment.

        Raises:
            RecordError: if they are not there, or cannot be read.
        """
        return read_json(self.folder_of(experiment_id) / CONFIG_FILE)

    def series(self, experiment_id: ExperimentId) -> dict[str, Any]:
        """The metrics of an experiment as Sacred keeps them: steps, values and timestamps by name.

        Raises:
            RecordError: if they cannot be read.
        """
        return self._optional(experiment_id, METRICS_FILE)

    def info(self, experiment_id: ExperimentId) -> dict[str, Any]:
        """What an experiment noted besides, by name.

        Raises:
            RecordError: if it cannot be read.
        """
        return self._optional(experiment_id, INFO_FILE)

    def _documents(self, ids: Sequence[ExperimentId]) -> dict[ExperimentId, dict[str, Any]]:
        return {id_: self.document(id_) for id_ in ids}

    def _optional(self, experiment_id: ExperimentId, file_name: str) -> dict[str, Any]:
        path = self.folder_of(experiment_id) / file_name
        return read_json(path) if is_there(path) else {}

    def _metrics(
        self, experiment_id: ExperimentId, names: Container[str] | None
    ) -> dict[str, pd.Series]:
        with reading(self.folder_of(experiment_id) / METRICS_FILE):
            return {
                name: series_of(name, metric)
                for name, metric in self.series(experiment_id).items()
                if names is None or name in names
            }

    def strays(self) -> list[str]:
        """Folders that are called like an experiment and are none."""
        return [
            name
            for name in self._names()
            if isinstance(as_id(name), int) and not is_there(self.folder / name / RUN_FILE)
        ]

    def _names(self) -> list[str]:
        """What is in the folder.

        Raises:
            RecordError: if there is no such folder, or it cannot be read.
        """
        try:
            return [path.name for path in self.folder.iterdir()]
        except OSError as error:
            raise RecordError(f"{self.folder} cannot be read: {error.strerror}") from None

    def _artifacts(self, experiment_id: ExperimentId) -> dict[str, Path | None]:
        """Where the files of artifacts are, by the names of these, as far as they are there."""
        artifacts = self.entry(experiment_id).artifacts
        folder = self.folder_of(experiment_id)
        try:
            paths = [path for path in folder.iterdir() if not is_reserved(path.name)]
        except OSError as error:
            raise RecordError(f"{folder} cannot be read: {error.strerror}") from None
        by_name = {path.stem: path for path in paths} | {path.name: path for path in paths}
        return {name: by_name.get(name) for name in artifacts}

    @contextmanager
    def _changing(self, experiment_id: ExperimentId) -> Iterator[dict[str, Any]]:
        """The `run.json` of an experiment, which is written again with what changes in it.

        Raises:
            RecordError: if it cannot be read, or written.
        """
        path = self.folder_of(experiment_id) / RUN_FILE
        try:
            with (self.folder / _LOCK).open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                stored = read_json(path)
                yield stored
                write_json(path, stored)
        except OSError as error:
            raise RecordError(f"{path} cannot be written: {error.strerror}") from None


def is_reserved(file_name: str) -> bool:
    """Whether a file of a record is no artifact: the record's own files, and hidden ones."""
    of_training = (STORE_NAME, Path(CHECKPOINT).stem)
    return (
        file_name in OWN_FILES
        or not is_plain(file_name)
        or file_name.casefold().startswith(of_training)
    )


def artifact_file_name(name: str, suffix: str) -> str:
    """What the file of an artifact is called in the folder of its experiment.

    Raises:
        RecordError: if the name is one of the record's own files, or no plain name.
    """
    file_name = name if name.endswith(suffix) else name + suffix
    if is_reserved(file_name):
        raise RecordError(f"{file_name!r} cannot be the name of an artifact")
    return file_name


def _flaw(path: Path | None) -> str | None:
    """What is wrong with the file of an artifact, None if nothing is."""
    if path is None:
        return "its file is not there"
    found = flaw(path)
    if found is None and path.suffix == TABLE_SUFFIX and not path.lstat().st_size:
        return "its table is empty"
    return found
