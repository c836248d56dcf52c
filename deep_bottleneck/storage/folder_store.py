"""Experiments in a folder, as the local record leaves them: one folder for each."""

import json
import logging
import shutil
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd

from deep_bottleneck.errors import RecordError
from deep_bottleneck.interfaces import Status
from deep_bottleneck.machine.disk_space import give_up_reserve
from deep_bottleneck.machine.whole_file import in_place_of, write_whole
from deep_bottleneck.storage.base import (
    NOTES,
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
    sort_key,
)
from deep_bottleneck.storage.identity import identity_of
from deep_bottleneck.storage.summaries import read_summaries

logger = logging.getLogger(__name__)

RUN_FILE = "run.json"
CONFIG_FILE = "config.json"
METRICS_FILE = "metrics.json"
OUTPUT_FILE = "cout.txt"
INFO_FILE = "info.json"
OWN_FILES = frozenset({RUN_FILE, CONFIG_FILE, METRICS_FILE, OUTPUT_FILE, INFO_FILE})
SOURCES_FOLDER = "_sources"


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
        """The ids of all experiments: the folders that have a `run.json`."""
        try:
            names = [path.parent.name for path in self.folder.glob(f"*/{RUN_FILE}")]
        except OSError as error:
            raise RecordError(f"{self.folder} cannot be read: {error}") from None
        return sorted(map(as_id, names), key=sort_key)

    def check(self, experiment_id: ExperimentId) -> None:
        """Make sure that an experiment is there and can be read."""
        self.config(experiment_id)
        self.entry(experiment_id)

    def check_whole(self, experiment_id: ExperimentId) -> None:
        """Make sure that every file of an experiment can be read."""
        self.check(experiment_id)
        self._metrics(experiment_id, None)
        self.info(experiment_id)

    def entries(self, ids: Sequence[ExperimentId]) -> dict[ExperimentId, Entry]:
        """What is known of experiments."""
        return self._readable((id_, self.entry) for id_ in ids)

    def configs(self, ids: Sequence[ExperimentId]) -> dict[ExperimentId, dict[str, Any]]:
        """The hyperparameters of experiments."""
        return self._readable((id_, self.config) for id_ in ids)

    def metrics(
        self, ids: Sequence[ExperimentId], names: Iterable[str] | None = None
    ) -> dict[ExperimentId, dict[str, pd.Series]]:
        """Metrics of experiments."""
        wanted = None if names is None else set(names)
        return self._readable((id_, partial(self._metrics, names=wanted)) for id_ in ids)

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
                return {name: MetricSummary(*found[name]) for name in found.keys() & wanted}

        return self._readable((id_, read) for id_ in ids)

    def files(self, experiment_id: ExperimentId) -> dict[str, StoredFile]:
        """The artifacts of an experiment whose file is there."""
        entry = self.entry(experiment_id)
        folder = self.folder_of(experiment_id)
        paths = [path for path in folder.iterdir() if path.name not in OWN_FILES]
        by_name = {path.stem: path for path in paths} | {path.name: path for path in paths}
        return {
            name: StoredFile(name, path.suffix, path.stat().st_size, partial(_open, path))
            for name in entry.artifacts
            if (path := by_name.get(name))
        }

    def attach(self, experiment_id: ExperimentId, path: Path, name: str) -> None:
        """Add a copy of a file to the artifacts of an experiment that has ended."""
        entry = self.entry(experiment_id)
        target = self.folder_of(experiment_id) / artifact_file_name(name, path.suffix)
        if entry.stored_status == Status.RUNNING:
            raise RecordError(not_ended(self, entry, "results can be attached"))
        if name in self.files(experiment_id) or target.exists():
            raise RecordError(f"{target.parent} has an artifact {name} already: choose a new name")
        with in_place_of(target) as unfinished:
            shutil.copyfile(path, unfinished)
            # named first: a name without a file can be attached again after a kill
            if name not in entry.artifacts:
                stored = read_json(target.parent / RUN_FILE)
                stored["artifacts"] = [*(stored.get("artifacts") or ()), name]
                write_json(target.parent / RUN_FILE, stored)

    def tag(self, experiment_id: ExperimentId, tags: Sequence[str]) -> None:
        """Replace the tags of an experiment that has ended."""
        entry = self.entry(experiment_id)
        path = self.folder_of(experiment_id) / RUN_FILE
        if entry.stored_status == Status.RUNNING:
            raise RecordError(not_ended(self, entry, "tags can be changed"))
        stored = read_json(path)
        stored[NOTES] = (stored.get(NOTES) or {}) | notes_with(tags)
        write_json(path, stored)

    def delete(self, experiment_id: ExperimentId) -> None:
        """Delete the folder of an experiment; sources, which others share, stay."""
        path = self.folder_of(experiment_id)
        if not (path / RUN_FILE).exists():
            raise RecordError(f"{path} is no experiment: there is no {RUN_FILE}")
        shutil.rmtree(path)

    def mark_lost(self, experiment_id: ExperimentId) -> None:
        """Store that an experiment is LOST, and ended when it last gave a sign."""
        entry = self.entry(experiment_id)
        path = self.folder_of(experiment_id) / RUN_FILE
        if entry.status != Status.LOST:
            raise RecordError(f"{path.parent}: the experiment is {entry.status}, not LOST")
        give_up_reserve(path.parent)
        stored = read_json(path)
        end = stored.get("heartbeat") or stored["start_time"]
        stored |= {"status": Status.LOST, "stop_time": end}
        write_json(path, stored)

    def folder_of(self, experiment_id: ExperimentId) -> Path:
        """The folder of an experiment, whether it exists or not."""
        return self.folder / str(experiment_id)

    def identities(self) -> dict[str, ExperimentId]:
        """The ids of all readable experiments by what makes them the same in every store."""

        def read(experiment_id: ExperimentId) -> str:
            document = self.document(experiment_id)
            with reading(self.folder_of(experiment_id) / RUN_FILE):
                return identity_of(document, experiment_id)

        identities = self._readable((id_, read) for id_ in self.ids())
        return {identity: id_ for id_, identity in identities.items()}

    def adopt(self, folder: Path, preferred: ExperimentId) -> ExperimentId:
        """Move a complete record here, under its id or the next number that is free.

        Returns:
            The id it has now.
        """
        experiment_id = preferred
        while True:
            # making a folder claims its id: of several processes only one can
            try:
                self.folder_of(experiment_id).mkdir()
            except FileExistsError:
                numbers = [
                    int(path.name) for path in self.folder.iterdir() if path.name.isdecimal()
                ]
                experiment_id = max(numbers, default=0) + 1
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
        return read_json(path) if path.exists() else {}

    def _metrics(
        self, experiment_id: ExperimentId, names: Container[str] | None
    ) -> dict[str, pd.Series]:
        with reading(self.folder_of(experiment_id) / METRICS_FILE):
            return {
                name: series_of(name, metric)
                for name, metric in self.series(experiment_id).items()
                if names is None or name in names
            }

    @staticmethod
    def _readable(readers: Iterator[tuple[ExperimentId, Any]]) -> dict[ExperimentId, Any]:
        """What can be read of each experiment, the others named in the log."""
        found = {}
        for experiment_id, read in readers:
            try:
                found[experiment_id] = read(experiment_id)
            except RecordError as error:
                logger.warning("Left out: %s", error)
        return found


def _open(path: Path) -> BinaryIO:
    return path.open("rb")


def series_of(name: str, metric: Mapping[str, Any]) -> pd.Series:
    """The values of a metric by their steps, out of what Sacred stores of it."""
    return pd.Series(metric["values"], pd.Index(metric["steps"], name="step"), float, name)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Say in one sentence what in a file is not as it should be.

    Raises:
        RecordError: if something is missing, or is of another kind.
    """
    try:
        yield
    except KeyError as error:
        raise RecordError(f"{path} cannot be read: {error} is missing") from None
    except (AttributeError, TypeError, ValueError) as error:
        raise RecordError(f"{path} cannot be read: {error}") from None


def artifact_file_name(name: str, suffix: str) -> str:
    """What the file of an artifact is called in the folder of its experiment.

    Raises:
        RecordError: if the name is one of the record's own files, or no plain name.
    """
    file_name = name if name.endswith(suffix) else name + suffix
    if file_name in OWN_FILES or Path(file_name).name != file_name:
        raise RecordError(f"{file_name!r} cannot be the name of an artifact")
    return file_name


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        RecordError: if it is not there, cannot be read, or holds something else.
    """
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise RecordError(f"{path.parent} is no experiment: there is no {path.name}") from None
    except (OSError, ValueError) as error:
        raise RecordError(f"{path} cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise RecordError(f"{path} cannot be read: it holds a {type(content).__name__}")
    return content


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Replace a JSON file at once, so that nobody sees it half-written."""
    write_whole(path, json.dumps(content, sort_keys=True, indent=2))
