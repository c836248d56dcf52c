"""Experiments in a MongoDB, in Sacred's collections: runs, metrics and files in GridFS."""

import io
import logging
import mimetypes
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import Any, BinaryIO

import gridfs
import pandas as pd
from bson import ObjectId
from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo.errors import DuplicateKeyError

from deep_bottleneck.errors import RecordError
from deep_bottleneck.interfaces import Status
from deep_bottleneck.storage.base import (
    Entry,
    ExperimentId,
    MetricSummary,
    RecordStore,
    StoredFile,
    is_gone,
    not_ended,
    notes_with,
    read_to_the_end,
    readable,
    series_of,
    sort_key,
    utc,
)
from deep_bottleneck.storage.document import NOTES, check_kinds
from deep_bottleneck.storage.identity import IDENTITY, OF_IDENTITY, digest_of, identity_of
from deep_bottleneck.storage.mongo import MongoSettings, refusals_of
from deep_bottleneck.storage.mongo_files import (
    LONGEST_BEGINNING,
    OUTPUT_FILE,
    artifact_address,
    file_ids,
    id_of_address,
    opened,
    output_address,
    suffix_of,
)
from deep_bottleneck.storage.mongo_metrics import PIECE, joined, pieces, query_of
from deep_bottleneck.storage.own_files import read_own, reading

logger = logging.getLogger(__name__)

# Beyond so many experiments it is faster to pick from all than to ask for each by its id.
ASK_BY_ID = 100
# Replies are as large as MongoDB makes them, 16 MB, rather than many.
BATCH_SIZE = 100_000
# An experiment names a file when all of it is stored.
UPLOADED_WITHIN = timedelta(hours=1)
# what anybody may have written: a time beyond the year 9999, or a text that is none
_READ_ALL: CodecOptions[Any] = CodecOptions(
    datetime_conversion=DatetimeConversion.DATETIME_AUTO, unicode_decode_error_handler="replace"
)
# what tables are about; the sources of a thousand experiments would take longer than all of it
OF_TABLE = (
    "status",
    "start_time",
    "stop_time",
    "heartbeat",
    "result",
    "artifacts",
    "host",
    NOTES,
)


class MongoStore(RecordStore):
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
        client = settings.connect()
        self.database = client.get_database(settings.database, codec_options=_READ_ALL)
        self._leave = weakref.finalize(self, client.close)
        self.fs = gridfs.GridFS(self.database)

    def __repr__(self) -> str:
        return f"MongoStore({self.settings.database!r} at {self.settings.hosts})"

    def ids(self) -> list[ExperimentId]:
        """The ids of all experiments, but for `strange_ids`."""
        found = [run["_id"] for run in self._find("runs", {}, ["_id"])]
        return sorted(filter(_is_id, found), key=sort_key)

    def strange_ids(self) -> list[str]:
        """Ids of experiments that are neither numbers nor text; these cannot be asked for."""
        found = [run["_id"] for run in self._find("runs", {}, ["_id"])]
        return [repr(id_) for id_ in found if not _is_id(id_)]

    def at_once(self, ids: Sequence[ExperimentId] | None = None) -> RecordStore:
        """The same experiments, of which what tables are about is read together."""
        return _AtOnce(self, ids)

    def check(self, experiment_id: ExperimentId) -> None:
        """Make sure that an experiment is there, and is as it should be."""
        self.entry(experiment_id)

    def check_whole(self, experiment_id: ExperimentId) -> None:
        """Make sure that all of an experiment can be read."""
        self._series(experiment_id, self._metrics([experiment_id], None, None))
        super().check_whole(experiment_id)

    def lacking(self, experiment_id: ExperimentId) -> dict[str, str]:
        """Why artifacts, or sources, that an experiment names cannot be read, by their names."""
        run = self.document(experiment_id)
        with self._reading(experiment_id):
            named = _artifact_ids(run) | dict(_entry(run).kept_sources)
            query = {"_id": {"$in": list(named.values())}}
            there = {file["_id"] for file in self._find("fs.files", query, ["_id"])}
            lacking = [name for name, file_id in named.items() if file_id not in there]
        return dict.fromkeys(lacking, "its file is not there")

    def entries(self, ids: Sequence[ExperimentId]) -> dict[ExperimentId, Entry]:
        """What is known of experiments."""
        read = partial(self._runs, fields=(*OF_TABLE, "experiment"))
        runs = read_to_the_end(read, ids, is_gone)
        return readable(runs, lambda id_: self._entry(runs[id_]))

    def entry(self, experiment_id: ExperimentId) -> Entry:
        """What is known of an experiment.

        Raises:
            RecordError: if it is not there, or is not as it should be.
        """
        return self._entry(self.document(experiment_id))

    def configs(self, ids: Sequence[ExperimentId]) -> dict[ExperimentId, dict[str, Any]]:
        """The hyperparameters of experiments."""
        runs = self._runs(ids, ["config"])

        def config(id_: ExperimentId) -> dict[str, Any]:
            with self._reading(id_):
                check_kinds(runs[id_])
            return runs[id_].get("config") or {}

        return readable(runs, config)

    def metrics(
        self, ids: Sequence[ExperimentId], names: Iterable[str] | None = None
    ) -> dict[ExperimentId, dict[str, pd.Series]]:
        """Metrics of experiments."""
        found = self._metrics_by_id(ids, names, ["steps", "values"])
        return readable(ids, lambda id_: self._series(id_, found[id_]))

    def summaries(
        self, ids: Sequence[ExperimentId], names: Iterable[str]
    ) -> dict[ExperimentId, dict[str, MetricSummary]]:
        """Metrics of experiments in a few numbers."""
        found = self._metrics_by_id(ids, names, ["values"])

        def summarised(id_: ExperimentId) -> dict[str, MetricSummary]:
            with self._reading(id_):
                return {
                    name: MetricSummary.of(metric["values"])
                    for name, metric in joined(found[id_]).items()
                }

        return readable(ids, summarised)

    def files(self, experiment_id: ExperimentId) -> dict[str, StoredFile]:
        """The artifacts of an experiment whose file is there."""
        run = self.document(experiment_id)
        with self._reading(experiment_id):
            stored = _artifact_ids(run)
            query = {"_id": {"$in": list(stored.values())}}
            files = {file["_id"]: file for file in self._find("fs.files", query)}
            for name in [name for name, id_ in stored.items() if id_ not in files]:
                del stored[name]
                logger.warning("Left out: %s of experiment %s (no file)", name, experiment_id)
            return {
                name: StoredFile(
                    name,
                    suffix_of(name, files[id_], partial(self._beginning, id_)),
                    int(files[id_]["length"]),
                    self._opener(id_),
                )
                for name, id_ in stored.items()
            }

    def attach(self, experiment_id: ExperimentId, path: Path, name: str) -> None:
        """Add a copy of a file to the artifacts of an experiment that has ended."""
        run = self.document(experiment_id)
        if run.get("status") == Status.RUNNING:
            raise RecordError(not_ended(self, self._entry(run), "results can be attached"))
        if name in self._entry(run).artifacts:
            raise RecordError(
                f"Experiment {experiment_id} in {self!r} has an artifact {name} already: choose a "
                "new name"
            )
        with path.open("rb") as file:
            self.put_artifact(experiment_id, file, name, path.suffix)

    def insert(self, document: Mapping[str, Any]) -> ExperimentId:
        """Store an experiment under its id, or the next free one if another has that.

        Args:
            document: what Sacred stores in the collection "runs", with its identity.

        Returns:
            The id it has now; that of the stored one if the same experiment is there already.
        """
        runs = self.database["runs"]
        identity, experiment_id = document[IDENTITY], document["_id"]
        with self.errors():
            runs.create_index(IDENTITY, unique=True, sparse=True)
            self.database["metrics"].create_index("run_id")
            self.database["metrics"].create_index("name")
            while True:
                try:
                    runs.insert_one({**document, "_id": experiment_id})
                except DuplicateKeyError:
                    for same in self._find("runs", {IDENTITY: identity}, ["_id"]):
                        return same["_id"]
                    numbers = {"_id": {"$type": "number"}}
                    last = runs.find_one(numbers, ["_id"], sort=[("_id", -1)])
                    experiment_id = int(last["_id"]) + 1 if last else 1
                else:
                    return experiment_id

    def put_artifact(
        self, experiment_id: ExperimentId, file: BinaryIO, name: str, suffix: str
    ) -> dict[str, Any]:
        """Store a file as an artifact, chunk by chunk, and name it in the experiment.

        What an earlier call for this artifact has left, that was cut short, is replaced.
        """
        with self.errors():
            file_id = self._put(artifact_address(experiment_id, name), file, suffix)
            stored = {"name": name, "file_id": file_id}
            self.database["runs"].update_one(
                {"_id": experiment_id}, {"$addToSet": {"artifacts": stored}}
            )
        return stored

    def put_output(self, experiment_id: ExperimentId, output: str) -> None:
        """Store all of an output that is too long for a document, as a file beside it."""
        with self.errors():
            content = io.BytesIO(output.encode(errors="replace"))
            file_id = self._put(output_address(experiment_id), content, ".txt")
            self.update(experiment_id, {OUTPUT_FILE: file_id})

    def output(self, run: Mapping[str, Any]) -> bytes:
        """All that an experiment has put out.

        Args:
            run: what is in the collection "runs" about it.
        """
        if run.get(OUTPUT_FILE):
            return self.read(run[OUTPUT_FILE])
        return (run.get("captured_out") or "").encode()

    def put_source(self, name: str, path: Path) -> ObjectId:
        """Store a source file, unless one of this name and content is there.

        Raises:
            RecordError: if the file cannot be read, or the database refuses or is gone.
        """
        content = read_own(path)
        metadata = {"md5": digest_of(content)}
        with self.errors():
            same = self.fs.find_one({"filename": name, "metadata.md5": metadata["md5"]})
            return same._id if same else self.fs.put(content, filename=name, metadata=metadata)

    def put_metrics(
        self, experiment_id: ExperimentId, metrics: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """Store metrics by name, each with its steps, values and timestamps, in place of any."""
        with self.errors():
            for name, metric in metrics.items():
                for number, piece in pieces(metric):
                    query = query_of(experiment_id, name, number)
                    self.database["metrics"].update_one(query, {"$set": piece}, upsert=True)

    def stored_metrics(self, experiment_id: ExperimentId) -> dict[str, dict[str, Any]]:
        """The metrics of an experiment by name, each with its steps, values and timestamps.

        Raises:
            RecordError: if one is not as it should be.
        """
        found = list(self._metrics([experiment_id], None, None))
        self._series(experiment_id, found)
        with self._reading(experiment_id):
            return joined(found)

    def update(self, experiment_id: ExperimentId, values: Mapping[str, Any]) -> None:
        """Store something else about an experiment."""
        with self.errors():
            self.database["runs"].update_one({"_id": experiment_id}, {"$set": dict(values)})

    def read(self, file_id: Any) -> bytes:
        """All bytes of a small file."""
        with self._opener(file_id)() as file:
            return file.read()

    def identities(self) -> dict[str, ExperimentId]:
        """The ids of all experiments by what makes them the same in every store."""
        found = [run for run in self._find("runs", {}, OF_IDENTITY) if _is_id(run["_id"])]
        runs = {run["_id"]: run for run in found}

        def identity(id_: ExperimentId) -> str:
            with self._reading(id_):
                return identity_of(runs[id_], id_)

        return {of_one: id_ for id_, of_one in readable(runs, identity).items()}

    def unreferenced_files(self) -> list[tuple[Any, str]]:
        """The id and name of each file that no experiment needs, and that nobody just uploads.

        Raises:
            RecordError: if an experiment does not say what it needs.
        """
        needed = self._needed({})
        latest = datetime.now(UTC) - UPLOADED_WITHIN
        return [
            (file["_id"], file.get("filename") or "")
            for file in self._find("fs.files", {}, ["filename", "uploadDate"])
            if file["_id"] not in needed and (utc(file.get("uploadDate")) or latest) <= latest
        ]

    def tag(self, experiment_id: ExperimentId, tags: Sequence[str]) -> None:
        """Replace the tags of an experiment that has ended."""
        run = self.document(experiment_id)
        if run.get("status") == Status.RUNNING:
            raise RecordError(not_ended(self, self._entry(run), "tags can be changed"))
        self.update(experiment_id, {f"{NOTES}.{k}": v for k, v in notes_with(tags).items()})

    def close(self) -> None:
        """Leave the database."""
        self._leave()

    def delete(self, experiment_id: ExperimentId) -> None:
        """Delete an experiment, and of its files those that no other experiment needs.

        The experiment itself goes last, so that a deletion that was cut short can be repeated.
        """
        self.check(experiment_id)
        own = self._needed({"_id": experiment_id})
        needed = self._needed({"_id": {"$ne": experiment_id}})
        with self.errors():
            for file_id in own - needed:
                self.fs.delete(file_id)
            self.database["metrics"].delete_many({"run_id": experiment_id})
            self.database["runs"].delete_one({"_id": experiment_id})

    def mark_lost(self, experiment_id: ExperimentId) -> None:
        """Store that an experiment is LOST, and ended when it last gave a sign."""
        run = self.document(experiment_id)
        status = self._entry(run).status
        if status != Status.LOST:
            raise RecordError(f"Experiment {experiment_id} in {self!r} is {status}, not LOST")
        end = run.get("heartbeat") or run.get("start_time")
        with self.errors():
            self.database["runs"].update_one(
                {"_id": experiment_id, "status": Status.RUNNING},
                {"$set": {"status": Status.LOST, "stop_time": end}},
            )

    def document(self, experiment_id: ExperimentId) -> dict[str, Any]:
        """Everything in the collection "runs" about an experiment.

        Raises:
            RecordError: if it is not there.
        """
        for run in self._find("runs", {"_id": experiment_id}):
            return run
        raise RecordError(f"There is no experiment {experiment_id} in {self!r}")

    def _entry(self, run: Mapping[str, Any]) -> Entry:
        with self._reading(run["_id"]):
            return _entry(run)

    def _needed(self, query: Mapping[str, Any]) -> set[Any]:
        """The ids of the files that experiments need."""
        needed: set[Any] = set()
        for run in self._find("runs", query, ["artifacts", "experiment", OUTPUT_FILE]):
            with self._reading(run["_id"]):
                needed |= file_ids(run)
        return needed

    def _put(self, address: str, file: BinaryIO, suffix: str) -> ObjectId:
        """Store a file in place of what an earlier call has left of it."""
        file_id = id_of_address(address)
        if self.fs.exists(file_id):
            self.fs.delete(file_id)
        self.database["fs.chunks"].delete_many({"files_id": file_id})
        content_type = mimetypes.guess_type(f"file{suffix}")[0]
        metadata = {"suffix": suffix}
        self.fs.put(
            file, _id=file_id, filename=address, content_type=content_type, metadata=metadata
        )
        return file_id

    def _reading(self, experiment_id: object) -> AbstractContextManager[None]:
        return reading(f"experiment {experiment_id} in {self!r}")

    def _series(
        self, experiment_id: ExperimentId, found: Iterable[Mapping[str, Any]]
    ) -> dict[str, pd.Series]:
        with self._reading(experiment_id):
            return {name: series_of(name, metric) for name, metric in joined(found).items()}

    def _runs(
        self, ids: Sequence[ExperimentId], fields: Iterable[str]
    ) -> dict[ExperimentId, dict[str, Any]]:
        query = {"_id": {"$in": list(ids)}} if len(ids) < ASK_BY_ID else {}
        runs = self._find("runs", query, fields)
        found = {run["_id"]: run for run in runs if _is_id(run["_id"])}
        return {id_: found[id_] for id_ in ids if id_ in found}

    def _metrics_by_id(
        self, ids: Sequence[ExperimentId], names: Iterable[str] | None, fields: Iterable[str]
    ) -> dict[ExperimentId, list[dict[str, Any]]]:
        found: dict[ExperimentId, list[dict[str, Any]]] = {id_: [] for id_ in ids}
        for metric in self._metrics(ids, names, ["run_id", "name", PIECE, *fields]):
            found[metric["run_id"]].append(metric)
        return found

    def _metrics(
        self,
        ids: Sequence[ExperimentId],
        names: Iterable[str] | None,
        fields: Iterable[str] | None,
    ) -> Iterator[dict[str, Any]]:
        query: dict[str, Any] = {}
        if names is not None:
            query["name"] = _any_of(list(names))
        if len(ids) < ASK_BY_ID:
            query["run_id"] = _any_of(ids)
        wanted = set(ids)
        for metric in self._find("metrics", query, fields):
            if _is_id(metric.get("run_id")) and metric["run_id"] in wanted:
                yield metric

    def _find(
        self, collection: str, query: Mapping[str, Any], fields: Iterable[str] | None = None
    ) -> Iterator[dict[str, Any]]:
        projection = None if fields is None else dict.fromkeys(fields, 1)
        with self.errors():
            yield from self.database[collection].find(query, projection, batch_size=BATCH_SIZE)

    def _opener(self, file_id: Any) -> Callable[[], BinaryIO]:
        @contextmanager
        def errors() -> Iterator[None]:
            # GridFS believes what is written about a file
            with reading(f"a file in {self!r}"), self.errors():
                yield

        def open_file() -> BinaryIO:
            with errors():
                return opened(self.fs.get(file_id), errors)

        return open_file

    def _beginning(self, file_id: Any) -> bytes:
        """The first bytes of a file, none if it cannot be read."""
        with suppress(RecordError), self._opener(file_id)() as file:
            return file.read(LONGEST_BEGINNING)
        return b""

    def errors(self) -> AbstractContextManager[None]:
        """Say in one sentence what the database refused, or that it is gone."""
        return refusals_of(repr(self))


class _AtOnce(MongoStore):
    """A database as it is when it is first asked, but for metrics, files and sources."""

    def __init__(self, store: MongoStore, ids: Sequence[ExperimentId] | None) -> None:
        # the connection is closed with the store that has made it
        self._store = store
        self.settings, self.database, self.fs = store.settings, store.database, store.fs
        self._all = ids is None or len(ids) >= ASK_BY_ID
        self._ids = ids or ()

    def ids(self) -> list[ExperimentId]:
        """The ids of all experiments that are read at once."""
        return sorted(self._read, key=sort_key)

    @cached_property
    def _read(self) -> dict[ExperimentId, dict[str, Any]]:
        query = {} if self._all else {"_id": {"$in": list(self._ids)}}
        runs = self._find("runs", query, (*OF_TABLE, "config"))
        return {run["_id"]: run for run in runs if _is_id(run["_id"])}

    def _runs(
        self, ids: Sequence[ExperimentId], fields: Iterable[str]
    ) -> dict[ExperimentId, dict[str, Any]]:
        return {id_: self._read[id_] for id_ in ids if id_ in self._read}


def _any_of(values: Sequence[Any]) -> Any:
    """The condition to be one of these; of one value alone every database uses its index."""
    return values[0] if len(values) == 1 else {"$in": list(values)}


def _is_id(value: object) -> bool:
    return isinstance(value, int | str | ObjectId) and not isinstance(value, bool)


def _entry(run: Mapping[str, Any]) -> Entry:
    artifacts = (str(entry["name"]) for entry in run.get("artifacts") or ())
    return Entry.of(run["_id"], run, artifacts)


def _artifact_ids(run: Mapping[str, Any]) -> dict[str, Any]:
    """The ids of the files of an experiment's artifacts, by their names."""
    return {str(entry["name"]): entry["file_id"] for entry in run.get("artifacts") or ()}
