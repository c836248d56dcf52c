"""The experiment in MongoDB, as Sacred stores it; a database that goes away stops nothing."""

import functools
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

from sacred.observers import MongoObserver

from deep_bottleneck.errors import RecordError
from deep_bottleneck.storage.base import as_id, listed
from deep_bottleneck.storage.bson_values import shortened, storable
from deep_bottleneck.storage.identity import IDENTITY, identity_of
from deep_bottleneck.storage.mongo_metrics import pieces, query_of
from deep_bottleneck.storage.mongo_store import MongoStore

logger = logging.getLogger(__name__)

DATABASE_PRIORITY = 30

Arguments = ParamSpec("Arguments")


def while_it_lasts(
    event: Callable[Concatenate["MongoRecord", Arguments], None],
) -> Callable[Concatenate["MongoRecord", Arguments], None]:
    """Skip an event once the database has failed; at the first failure say so in one sentence."""

    @functools.wraps(event)
    def handle(self: "MongoRecord", /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        if self.has_failed:
            return
        try:
            with self.store.errors():
                event(self, *args, **kwargs)
        except (RecordError, OSError) as error:
            self.give_up(str(error))

    return handle


class MongoRecord(MongoObserver):
    """The experiment in MongoDB, under the local record's id where that is still free.

    Attributes:
        store: the database.
        has_failed: whether it has refused something or gone away; it is left alone from then on.
    """

    def __init__(self, store: MongoStore, local_folder: Path) -> None:
        """Store in a database.

        Args:
            store: the database.
            local_folder: the folder of the local record, which keeps the sources as well.
        """
        client, name = store.database.client, store.database.name
        super().__init__(client=client, db_name=name, priority=DATABASE_PRIORITY)
        self.store = store
        self.has_failed = False
        self._local_folder = local_folder
        # Sacred's own boards look there for the names of the metrics
        self._metrics_info: dict[str, Any] = {}
        self._n_logged: Counter[str] = Counter()
        self._said: dict[str, str] = {}

    def give_up(self, reason: str) -> None:
        """Leave the database alone from now on, and say so in one sentence."""
        if self.has_failed:
            return
        self.has_failed = True
        logger.warning(
            "%s; the experiment goes on in the local record, and "
            "`python -m deep_bottleneck.storage sync` uploads what is missing.",
            reason,
        )
        self.store.close()

    def started_event(
        self,
        ex_info: Mapping[str, Any],
        command: str,
        host_info: Mapping[str, Any],
        start_time: datetime,
        config: Mapping[str, Any],
        meta_info: Mapping[str, Any],
        _id: Any,
    ) -> Any:
        """Insert the experiment; the id of the local record stays the experiment's."""
        self._start(ex_info, command, host_info, start_time, config, meta_info, as_id(_id))
        return _id

    @while_it_lasts
    def _start(self, *event: Any) -> None:
        super().started_event(*event)

    def insert(self) -> None:
        """Store the experiment under an id that no other experiment of the database has."""
        local_id = self.run_entry["_id"]
        self.run_entry[IDENTITY] = identity_of(self.run_entry, local_id)
        stored_id = self.store.insert(self._storable(self.run_entry))
        self.run_entry["_id"] = stored_id
        if stored_id != local_id:
            logger.info(
                "The database has an experiment %s already; this one is %s there.",
                local_id,
                stored_id,
            )

    def save_sources(self, ex_info: Mapping[str, Any]) -> list[list[Any]]:
        """Store the source files that are not stored yet."""
        return [
            [name, self.store.put_source(name, self._local_folder / kept)]
            for name, kept in ex_info["sources"]
        ]

    @while_it_lasts
    def heartbeat_event(
        self, info: dict[str, Any], captured_out: str, beat_time: datetime, result: Any
    ) -> None:
        """Store that the experiment is alive."""
        super().heartbeat_event({**info, **self._metrics_info}, captured_out, beat_time, result)

    @while_it_lasts
    def log_metrics(self, metrics_by_name: Mapping[str, Any], info: dict[str, Any]) -> None:
        """Store new values of metrics."""
        for name, metric in metrics_by_name.items():
            for piece, part in pieces(metric, self._n_logged[name]):
                push = {key: {"$each": of_part} for key, of_part in part.items()}
                query = query_of(self.run_entry["_id"], name, piece)
                result = self.metrics.update_one(query, {"$push": push}, upsert=True)
                if result.upserted_id is not None:
                    known = self._metrics_info.setdefault("metrics", [])
                    known.append({"name": name, "id": str(result.upserted_id)})
            self._n_logged[name] += len(metric["values"])

    @while_it_lasts
    def artifact_event(
        self,
        name: str,
        filename: str,
        metadata: Mapping[str, Any] | None = None,
        content_type: str | None = None,
    ) -> None:
        """Store an artifact."""
        path = Path(filename)
        with path.open("rb") as file:
            stored = self.store.put_artifact(self.run_entry["_id"], file, name, path.suffix)
        self.run_entry["artifacts"].append(stored)

    resource_event = while_it_lasts(MongoObserver.resource_event)
    completed_event = while_it_lasts(MongoObserver.completed_event)
    interrupted_event = while_it_lasts(MongoObserver.interrupted_event)
    failed_event = while_it_lasts(MongoObserver.failed_event)

    def save(self) -> None:
        """Store what is known of the experiment now."""
        known = {name: value for name, value in self.run_entry.items() if name != "_id"}
        self.store.update(self.run_entry["_id"], self._storable(known))

    def final_save(self, attempts: int) -> None:
        """Store what is known of the experiment at its end, and leave the database."""
        del attempts
        self.save()
        output = self.run_entry["captured_out"]
        if shortened(output) != output:
            self.store.put_output(self.run_entry["_id"], output)
        self.store.close()

    def _storable(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values as a document holds them; the log says once what had to be changed."""
        output = shortened(values.get("captured_out") or "")
        short = {"captured_out": output} if output else {}
        stored, changed = storable({**values, **short})
        new = {name: reason for name, reason in changed.items() if name not in self._said}
        if new:
            self._said |= new
            logger.warning("%r cannot store all as it is: %s", self.store, listed(new))
        return stored
