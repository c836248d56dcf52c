"""Experiments in a MongoDB, in Sacred's collections: runs, metrics and files in GridFS."""

import mimetypes
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import gridfs
import pandas as pd
from pymongo.errors import OperationFailure, PyMongoError

from deep_bottleneck.errors import RecordError
from deep_bottleneck.mongo import MongoSettings
from deep_bottleneck.records.base import (
    LOST,
    RUNNING,
    Entry,
    ExperimentId,
    MetricSummary,
    RecordStore,
    StoredFile,
    sort_key,
    utc,
)

# Beyond so many experiments it is faster to pick from all than to ask for each by its id.
ASK_BY_ID = 100
OF_SUMMARY = ("status", "start_time", "stop_time", "heartbeat", "result", "artifacts", "experiment")


class DatabaseStore(RecordStore):
    """The experiments in a database.

    Attributes:
        settings: how it is reached.
        database: the database itself.
        fs: its files.
    """

    def __init__(self, settings: MongoSettings) -> None:
        """Connect to a database.

        Raises:
            RecordError: if it does not answer or refuses.
        """
        self.settings = settings
        self.database = settings.connect()[settings.database]
        self.fs = gridfs.GridFS(self.database)

    def __repr__(self) -> str:
        return f"DatabaseStore({self.settings.database!r} at {self.settings.hosts})"

    def ids(self) -> list[ExperimentId]:
        """The ids of all experiments."""
        return sorted((run["_id"] for run in self._find("runs", {}, ["_id"])), key=sort_key)

    def check(self, experiment_id: ExperimentId) -> None:
        """Make sure that an experiment is there."""
        self.document(experiment_id)

    def entries(self, ids: Sequence[ExperimentId]) -> dict[ExperimentId, Entry]:
        """What is known of experiments."""
        return {id_: _entry(run) for id_, run in self._runs(ids, OF_SUMMARY).items()}

    def configs(self, ids: Sequence[ExperimentId]) -> dict[ExperimentId, dict[str, Any]]:
        """The hyperparameters of experiments."""
        return {id_: run.get("config", {}) for id_, run in self._runs(ids, ["config"]).items()}

    def metrics(
        self, ids: Sequence[ExperimentId], names: Iterable[str] | None = None
    ) -> dict[ExperimentId, dict[str, pd.Series]]:
        """Metrics of experiments."""
        found: dict[ExperimentId, dict[str, pd.Series]] = {id_: {} for id_ in ids}
        for metric in self._metrics(ids, names):
            found[metric["run_id"]][metric["name"]] = pd.Series(
                metric["values"], pd.Index(metric["steps"], name="step"), float, metric["name"]
            )
        return found

    def summaries(
        self, ids: Sequence[ExperimentId], names: Iterable[str]
    ) -> dict[ExperimentId, dict[str, MetricSummary]]:
        """Metrics of experiments in a few numbers."""
        found: dict[ExperimentId, dict[str, MetricSummary]] = {id_: {} for id_ in ids}
        for metric in self._metrics(ids, names):
            found[metric["run_id"]][metric["name"]] = MetricSummary.of(metric["values"])
        return found

    def files(self, experiment_id: ExperimentId) -> dict[str, StoredFile]:
        """The artifacts of an experiment whose file is there."""
        stored = {entry["name"]: entry["file_id"] for entry in self._artifacts(experiment_id)}
        query = {"_id": {"$in": list(stored.values())}}
        files = {file["_id"]: file for file in self._find("fs.files", query)}
        return {
            name: StoredFile(
                name, _suffix(name, files[id_]), files[id_]["length"], self._opener(id_)
            )
            for name, id_ in stored.items()
            if id_ in files
        }

    def attach(self, experiment_id: ExperimentId, path: Path, name: str) -> None:
        """Add a copy of a file to the artifacts of an experiment that has ended."""
        run = self.document(experiment_id)
        if run.get("status") == RUNNING:
            raise RecordError(
                f"Experiment {experiment_id} in {self!r} is {_entry(run).status}; results can be "
                "attached once it has ended (storage doctor ends one that is LOST)"
            )
        if name in _entry(run).artifacts:
            raise RecordError(
                f"Experiment {experiment_id} in {self!r} has an artifact {name} already: choose a "
                "new name"
            )
        with path.open("rb") as file:
            self.put_artifact(experiment_id, file, name, path.suffix)

    def put_artifact(
        self, experiment_id: ExperimentId, file: BinaryIO, name: str, suffix: str
    ) -> None:
        """Store a file as an artifact, chunk by chunk, and name it in the experiment."""
        with self._errors():
            file_id = self.fs.put(
                file,
                filename=artifact_address(experiment_id, name),
                content_type=mimetypes.guess_type(f"file{suffix}")[0],
                metadata={"suffix": suffix},
            )
            self.database["runs"].update_one(
                {"_id": experiment_id},
                {"$push": {"artifacts": {"name": name, "file_id": file_id}}},
            )

    def delete(self, experiment_id: ExperimentId) -> None:
        """Delete an experiment, and of its files those that no other experiment needs.

        The experiment itself goes last, so that a deletion that was cut short can be repeated.
        """
        run = self.document(experiment_id)
        others = self._find("runs", {"_id": {"$ne": experiment_id}}, ["artifacts", "experiment"])
        needed = {file_id for other in others for file_id in file_ids(other)}
        with self._errors():
            for file_id in file_ids(run) - needed:
                self.fs.delete(file_id)
            self.database["metrics"].delete_many({"run_id": experiment_id})
            self.database["runs"].delete_one({"_id": experiment_id})

    def mark_lost(self, experiment_id: ExperimentId) -> None:
        """Store that an experiment is LOST, and ended when it last gave a sign."""
        run = self.document(experiment_id)
        status = _entry(run).status
        if status != LOST:
            raise RecordError(f"Experiment {experiment_id} in {self!r} is {status}, not {LOST}")
        end = run.get("heartbeat") or run["start_time"]
        with self._errors():
            self.database["runs"].update_one(
                {"_id": experiment_id, "status": RUNNING},
                {"$set": {"status": LOST, "stop_time": end}},
            )

    def document(self, experiment_id: ExperimentId) -> dict[str, Any]:
        """Everything in the collection "runs" about an experiment.

        Raises:
            RecordError: if it is not there.
        """
        for run in self._find("runs", {"_id": experiment_id}):
            return run
        raise RecordError(f"There is no experiment {experiment_id} in {self!r}")

    def _artifacts(self, experiment_id: ExperimentId) -> list[dict[str, Any]]:
        artifacts: list[dict[str, Any]] = self.document(experiment_id).get("artifacts", [])
        return artifacts

    def _runs(
        self, ids: Sequence[ExperimentId], fields: Iterable[str]
    ) -> dict[ExperimentId, dict[str, Any]]:
        query = {"_id": {"$in": list(ids)}} if len(ids) < ASK_BY_ID else {}
        found = {run["_id"]: run for run in self._find("runs", query, fields)}
        return {id_: found[id_] for id_ in ids if id_ in found}

    def _metrics(
        self, ids: Sequence[ExperimentId], names: Iterable[str] | None
    ) -> Iterator[dict[str, Any]]:
        query: dict[str, Any] = {}
        if names is not None:
            query["name"] = {"$in": list(names)}
        if len(ids) < ASK_BY_ID:
            query["run_id"] = {"$in": list(ids)}
        wanted = set(ids)
        for metric in self._find("metrics", query, ["run_id", "name", "steps", "values"]):
            if metric["run_id"] in wanted:
                yield metric

    def _find(
        self, collection: str, query: Mapping[str, Any], fields: Iterable[str] | None = None
    ) -> Iterator[dict[str, Any]]:
        projection = None if fields is None else dict.fromkeys(fields, 1)
        with self._errors():
            yield from self.database[collection].find(query, projection)

    def _opener(self, file_id: Any) -> Callable[[], BinaryIO]:
        def open_file() -> BinaryIO:
            with self._errors():
                return cast(BinaryIO, self.fs.get(file_id))

        return open_file

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Say in one sentence what the database refused, or that it is gone."""
        try:
            yield
        except gridfs.NoFile:
            raise RecordError(f"{self!r}: a file of the experiment is not there") from None
        except OperationFailure as error:
            reason = (error.details or {}).get("errmsg", "the operation was refused")
            raise RecordError(f"{self!r} refused: {reason}") from None
        except PyMongoError as error:
            raise RecordError(f"{self!r} does not answer ({type(error).__name__})") from None


def artifact_address(experiment_id: ExperimentId, name: str) -> str:
    """What Sacred calls the file of an artifact in GridFS."""
    return f"artifact://runs/{experiment_id}/{name}"


def file_ids(run: Mapping[str, Any]) -> set[Any]:
    """The ids in GridFS of an experiment's artifacts and sources."""
    sources = (run.get("experiment") or {}).get("sources") or ()
    artifacts = run.get("artifacts") or ()
    return {entry["file_id"] for entry in artifacts} | {file_id for _, file_id in sources}


def _entry(run: Mapping[str, Any]) -> Entry:
    return Entry(
        run["_id"],
        run.get("status", ""),
        utc(run.get("start_time")),
        utc(run.get("stop_time")),
        utc(run.get("heartbeat")),
        run.get("result"),
        tuple(entry["name"] for entry in run.get("artifacts") or ()),
        run,
    )


def _suffix(name: str, file: Mapping[str, Any]) -> str:
    """The kind of a stored file: as we noted it, or after its content type or name."""
    noted = (file.get("metadata") or {}).get("suffix")
    if noted is not None:
        return str(noted)
    return mimetypes.guess_extension(file.get("contentType") or "") or Path(name).suffix
