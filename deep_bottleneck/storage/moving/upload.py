"""Bring what is missing from a local record to a database."""

import logging
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from deep_bottleneck.errors import RecordError
from deep_bottleneck.interfaces import Status
from deep_bottleneck.storage.base import NOTES, ExperimentId, has_later_tags, utc
from deep_bottleneck.storage.folder_store import (
    METRICS_FILE,
    OUTPUT_FILE,
    FolderStore,
    reading,
    series_of,
)
from deep_bottleneck.storage.identity import IDENTITY, identity_of
from deep_bottleneck.storage.mongo_store import MongoStore
from deep_bottleneck.storage.moving.transfer import Transfer

logger = logging.getLogger(__name__)

_AT_THE_END = ("status", "stop_time", "heartbeat", "result", "captured_out", "info", "fail_trace")
_TIMES = ("start_time", "stop_time", "heartbeat")


def upload(source: FolderStore, target: MongoStore) -> Iterator[Transfer]:
    """Bring what a database lacks of the experiments of a local record.

    It can be repeated at will, and goes on where an earlier call was cut short: an experiment is
    recognised by its identity, an artifact by its name, a metric by its number of values. Tags are
    brought where they were chosen later than those in the database.

    Yields:
        What was done for each experiment.

    Raises:
        RecordError: if the database refuses or is gone.
    """
    there = target.identities()
    for id_ in source.ids():
        try:
            document = source.document(id_)
            upload_one = _Upload(source, target, id_)
            running = source.entry(id_).status == Status.RUNNING
        except RecordError as error:
            yield Transfer(id_, None, str(error), failed=True)
            continue
        identity = identity_of(document, id_)
        stored_id = there.get(identity)
        if running:
            yield Transfer(id_, stored_id, "still running")
            continue
        run = {**upload_one.ended(document), IDENTITY: identity}
        is_new = stored_id is None
        if stored_id is None:
            run["experiment"] = upload_one.with_sources(document.get("experiment") or {})
            stored_id = target.insert({**run, "_id": id_, "artifacts": []})
        # every part is asked for, whichever of them finds something to do
        parts = [upload_one.artifacts(stored_id), upload_one.metrics(stored_id)]
        stored = target.document(stored_id)
        parts += [upload_one.end(stored, run), upload_one.tags(stored, run)]
        done = "new" if is_new else "completed" if any(parts) else "nothing"
        yield Transfer(id_, stored_id, done)


class _Upload:
    """The parts of one experiment; each says whether something was missing."""

    def __init__(self, source: FolderStore, target: MongoStore, id_: ExperimentId) -> None:
        """Read all that is small enough to be read whole.

        Raises:
            RecordError: if something cannot be read.
        """
        self._source = source
        self._target = target
        self._id = id_
        self._config, self._info = source.config(id_), source.info(id_)
        self._series = {}
        with reading(source.folder_of(id_) / METRICS_FILE):
            for name, metric in source.series(id_).items():
                series_of(name, metric)  # which fails where the metric is none
                self._series[name] = {
                    **{part: metric[part] for part in ("steps", "values")},
                    "timestamps": [_time(time) for time in metric["timestamps"]],
                }

    def ended(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The `run.json` and its neighbours as Sacred has them in the collection "runs"."""
        output = self._source.folder_of(self._id) / OUTPUT_FILE
        run = {name: value for name, value in document.items() if name != "artifacts"}
        run |= {name: _time(document[name]) for name in _TIMES if name in document}
        run["captured_out"] = output.read_text(errors="replace") if output.exists() else ""
        return {**run, "config": self._config, "info": self._info}

    def with_sources(self, experiment: Mapping[str, Any]) -> dict[str, Any]:
        """Store the source files that are at hand, and name them by their files in GridFS."""
        paths = {name: self._source.folder / kept for name, kept in experiment.get("sources", ())}
        sources = [
            [name, self._target.put_source(name, path)]
            for name, path in paths.items()
            if path.is_file()
        ]
        return {**experiment, "sources": sources}

    def artifacts(self, stored_id: ExperimentId) -> bool:
        """Store the artifacts that are not there."""
        stored = set(self._target.files(stored_id))
        missing = [f for name, f in self._source.files(self._id).items() if name not in stored]
        for artifact in missing:
            with artifact.open() as file:
                self._target.put_artifact(stored_id, file, artifact.name, artifact.suffix)
        return bool(missing)

    def metrics(self, stored_id: ExperimentId) -> bool:
        """Store the metrics that have other values than there."""
        stored = self._target.metrics([stored_id])[stored_id]
        missing = {
            name: metric
            for name, metric in self._series.items()
            if name not in stored or len(stored[name]) != len(metric["values"])
        }
        self._target.put_metrics(stored_id, missing)
        return bool(missing)

    def end(self, stored: Mapping[str, Any], run: Mapping[str, Any]) -> bool:
        """Store how the experiment ended, if the database does not know."""
        if stored.get("status") == run.get("status"):
            return False
        values = {name: run[name] for name in _AT_THE_END if name in run}
        # where Sacred's own boards look for metrics
        named = {k: v for k, v in (stored.get("info") or {}).items() if k == "metrics"}
        self._target.update(stored["_id"], {**values, "info": {**run["info"], **named}})
        return True

    def tags(self, stored: Mapping[str, Any], run: Mapping[str, Any]) -> bool:
        """Store the tags, if they were chosen after those of the database."""
        if not has_later_tags(run, stored):
            return False
        self._target.update(stored["_id"], {f"{NOTES}.{k}": v for k, v in run[NOTES].items()})
        return True


def _time(stored: str | None) -> datetime | None:
    """A time as Sacred has it in databases: in UTC, without saying so."""
    time = utc(stored)
    return time.replace(tzinfo=None) if time else None
