"""Passes what happens in an experiment on to a slow observer, without waiting for it."""

import copy
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from sacred.observers import RunObserver

from deep_bottleneck.storage.observers.mongo_record import MongoRecord

# longer than a database may be silent, so that its own error is what is said
FINISH_WITHIN = 30.0
_END = "end"


class InBackground(RunObserver):
    """Stores in a database by a thread of its own, so that no database ever holds up an experiment.

    The events keep their order. At the end of the experiment it waits for the database, but not for
    ever.
    """

    def __init__(self, record: MongoRecord, stored_as: Callable[[str, str], Path]) -> None:
        """Pass events on to a record.

        Args:
            record: what stores them.
            stored_as: where the local record keeps an artifact, by its name and the name of its
                file; that file itself may be gone when its turn comes.
        """
        self.priority = record.priority
        self._record = record
        self._stored_as = stored_as
        self._events: SimpleQueue[tuple[str, dict[str, Any]]] = SimpleQueue()
        self._beat: dict[str, Any] = {}
        self._thread: threading.Thread | None = None

    def started_event(self, _id: Any, **event: Any) -> Any:
        """The experiment has started; the id of the local record stays the experiment's."""
        self._thread = threading.Thread(target=self._work, name="database record", daemon=True)
        self._thread.start()
        self._pass_on("started_event", _id=_id, **event)
        return _id

    def heartbeat_event(self, **event: Any) -> None:
        """The experiment is alive; of several such events that wait the last is enough."""
        self._beat = copy.deepcopy(event)
        self._pass_on("heartbeat_event")

    def log_metrics(self, metrics_by_name: Any, info: Any) -> None:
        """There are new values of metrics."""
        if metrics_by_name:
            self._pass_on("log_metrics", metrics_by_name=metrics_by_name, info={})

    def artifact_event(self, name: str, filename: str, **event: Any) -> None:
        """There is an artifact."""
        kept = self._stored_as(name, filename)
        path = kept if kept.exists() else Path(filename)
        self._pass_on("artifact_event", name=name, filename=str(path), **event)

    def resource_event(self, filename: str) -> None:
        """A file was read."""
        self._pass_on("resource_event", filename=filename)

    def completed_event(self, **event: Any) -> None:
        """The experiment is complete."""
        self._pass_on("completed_event", **event)

    def interrupted_event(self, **event: Any) -> None:
        """The experiment was interrupted."""
        self._pass_on("interrupted_event", **event)

    def failed_event(self, **event: Any) -> None:
        """The experiment has failed."""
        self._pass_on("failed_event", **event)

    def join(self) -> None:
        """Wait for the database, so long as that makes sense."""
        if self._thread is None:
            return
        self._events.put((_END, {}))
        self._thread.join(FINISH_WITHIN)
        if self._thread.is_alive():
            place = self._record.store
            self._record.give_up(f"{place!r} has not taken all within {FINISH_WITHIN:g} seconds")

    def _pass_on(self, what: str, /, **event: Any) -> None:
        # the experiment goes on and changes what it has told
        self._events.put((what, copy.deepcopy(event)))

    def _work(self) -> None:
        while True:
            name, event = self._events.get()
            if name == _END:
                return
            if name == "heartbeat_event":
                event, self._beat = self._beat, {}
                if not event:
                    continue
            try:
                getattr(self._record, name)(**event)
            except Exception as error:  # noqa: BLE001  nobody else hears of it in this thread
                self._record.give_up(f"{self._record.store!r} cannot store it ({error!r})")
