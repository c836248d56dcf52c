"""Bring what is missing from a local record to a database."""

import logging
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from deep_bottleneck.errors import RecordError, StoreGoneError
from deep_bottleneck.interfaces import Status
from deep_bottleneck.storage.base import (
    ExperimentId,
    has_later_tags,
    listed,
    require_list,
    series_of,
    utc,
)
from deep_bottleneck.storage.bson_values import shortened, storable
from deep_bottleneck.storage.document import NOTES
from deep_bottleneck.storage.folder_store import METRICS_FILE, OUTPUT_FILE, RUN_FILE, FolderStore
from deep_bottleneck.storage.identity import IDENTITY, identity_of
from deep_bottleneck.storage.mongo_files import OUTPUT_FILE as WHOLE_OUTPUT
from deep_bottleneck.storage.mongo_store import MongoStore
from deep_bottleneck.storage.moving.transfer import Transfer, noting
from deep_bottleneck.storage.own_files import is_there, read_own, reading

logger = logging.getLogger(__name__)

_AT_THE_END = ("status", "stop_time", "heartbeat", "result", "captured_out", "info", "fail_trace")
_TIMES = ("start_time", "stop_time", "heartbeat")


def upload(source: FolderStore, target: MongoStore) -> Iterator[Transfer]:
    """Bring what a database lacks of the experiments of a local record.

    It can be repeated at will, and goes on where an earlier call was cut short: an experiment is
    recognised by its identity, an artifact by its name, a metric by its number of values. Tags are
    brought where they were chosen later than those in the database.

    What a database cannot hold, or the record lacks, is named, and the rest goes there.

    Yields:
        What was done for each experiment.

    Raises:
        StoreGoneError: if the database is gone, or lets nobody in.
    """
    there = target.identities()
    for id_ in source.ids():
        try:
            yield _uploaded(_Upload(source, target, id_), there)
        except StoreGoneError:
            raise
        except RecordError as error:
            yield Transfer(id_, None, str(error), failed=True)


def _uploaded(one: "_Upload", there: Mapping[str, ExperimentId]) -> Transfer:
    """Bring what is missing of one experiment."""
    stored_id = there.get(one.identity)
    if one.entry.status == Status.RUNNING:
        return Transfer(one.entry.id, stored_id, "still running")
    run = one.ended()
    is_new = stored_id is None
    if stored_id is None:
        experiment = one.with_sources(run.get("experiment") or {})
        new = {**run, "experiment": experiment, "_id": one.entry.id, "artifacts": []}
        stored_id = one.target.insert(new)
    # every part is asked for, whichever of them finds something to do
    parts = [one.artifacts(stored_id), one.metrics(stored_id)]
    stored = one.target.document(stored_id)
    parts += [one.end(stored, run), one.output(stored), one.tags(stored, run)]
    done = "new" if is_new else "completed" if any(parts) else "nothing"
    said = f"{done}, but not as it is here: {listed(one.lacking)}" if one.lacking else done
    return Transfer(
        one.entry.id, stored_id, said, failed=bool(one.lacking), moved=done != "nothing"
    )


class _Upload:
    """The parts of one experiment; each says whether something was missing.

    Attributes:
        target: the database.
        entry: what is known of the experiment.
        identity: what makes it the same there.
        lacking: why something of it does not come there as it is, by its name.
    """

    def __init__(self, source: FolderStore, target: MongoStore, id_: ExperimentId) -> None:
        """Read all that is small enough to be read whole.

        Raises:
            RecordError: if something cannot be read.
        """
        self._source = source
        self.target = target
        self._id = id_
        self._document, self.entry = source.document(id_), source.entry(id_)
        with reading(source.folder_of(id_) / RUN_FILE):
            self.identity = identity_of(self._document, id_)
        self._config, self._info = source.config(id_), source.info(id_)
        output = source.folder_of(id_) / OUTPUT_FILE
        self._output = read_own(output).decode(errors="replace") if is_there(output) else ""
        self.lacking: dict[str, str] = {}
        self._series = {}
        with reading(source.folder_of(id_) / METRICS_FILE):
            for name, metric in source.series(id_).items():
                series_of(name, metric)  # which fails where the metric is none
                require_list(name, "timestamps", metric["timestamps"])
                if len(metric["timestamps"]) != len(metric["values"]):
                    raise ValueError(f"{name} has not as many timestamps as values")
                self._series[name] = {
                    **{part: metric[part] for part in ("steps", "values")},
                    "timestamps": [_time(time) for time in metric["timestamps"]],
                }

    def ended(self) -> dict[str, Any]:
        """The `run.json` and its neighbours as Sacred has them in the collection "runs"."""
        run = {name: value for name, value in self._document.items() if name != "artifacts"}
        run |= {name: _time(run[name]) for name in _TIMES if name in run}
        run |= {"captured_out": shortened(self._output), "config": self._config, "info": self._info}
        values, changed = storable({**run, IDENTITY: self.identity})
        self.lacking |= changed
        return values

    def with_sources(self, experiment: Mapping[str, Any]) -> dict[str, Any]:
        """Store the source files that are at hand, and name them by their files in GridFS."""
        sources = []
        for name, kept in experiment.get("sources") or ():
            with noting(self.lacking, name):
                sources.append([name, self.target.put_source(name, self._source.source(kept))])
        return {**experiment, "sources": sources}

    def artifacts(self, stored_id: ExperimentId) -> bool:
        """Store the artifacts that are not there."""
        stored = set(self.target.files(stored_id))
        missing = [f for name, f in self._source.files(self._id).items() if name not in stored]
        for artifact in missing:
            with noting(self.lacking, artifact.name), artifact.open() as file:
                self.target.put_artifact(stored_id, file, artifact.name, artifact.suffix)
        lacking = self._source.lacking(self._id)
        self.lacking |= {name: why for name, why in lacking.items() if name not in stored}
        return bool(missing)

    def metrics(self, stored_id: ExperimentId) -> bool:
        """Store the metrics that have other values than there."""
        stored = self.target.metrics([stored_id]).get(stored_id, {})
        missing = {
            name: metric
            for name, metric in self._series.items()
            if len(stored.get(name, ())) != len(metric["values"])
        }
        for name, metric in missing.items():
            with noting(self.lacking, name):
                self.target.put_metrics(stored_id, {name: metric})
        return bool(missing)

    def output(self, stored: Mapping[str, Any]) -> bool:
        """Store all of an output that is too long for the document, as a file."""
        if shortened(self._output) == self._output or stored.get(WHOLE_OUTPUT):
            return False
        self.target.put_output(stored["_id"], self._output)
        return True

    def end(self, stored: Mapping[str, Any], run: Mapping[str, Any]) -> bool:
        """Store how the experiment ended, if the database does not know."""
        if stored.get("status") == run.get("status"):
            return False
        values = {name: run[name] for name in _AT_THE_END if name in run}
        # where Sacred's own boards look for metrics
        named = {k: v for k, v in (stored.get("info") or {}).items() if k == "metrics"}
        self.target.update(stored["_id"], {**values, "info": {**run["info"], **named}})
        return True

    def tags(self, stored: Mapping[str, Any], run: Mapping[str, Any]) -> bool:
        """Store the tags, if they were chosen after those of the database."""
        if not has_later_tags(run, stored):
            return False
        self.target.update(stored["_id"], {f"{NOTES}.{k}": v for k, v in run[NOTES].items()})
        return True


def _time(stored: str | None) -> datetime | None:
    """A time as Sacred has it in databases: in UTC, without saying so."""
    time = utc(stored)
    return time.replace(tzinfo=None) if time else None
