"""The local record: a folder for each experiment."""

import functools
import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

from sacred.observers import FileStorageObserver

from deep_bottleneck.machine.disk_space import give_up_reserve, keep_reserve
from deep_bottleneck.machine.whole_file import in_place_of, write_whole
from deep_bottleneck.storage.folder_store import METRICS_FILE, MISSING, artifact_file_name
from deep_bottleneck.storage.identity import kept_name
from deep_bottleneck.storage.own_files import read_json
from deep_bottleneck.storage.summaries import write_summaries

logger = logging.getLogger(__name__)

LOCAL_PRIORITY = 40
_PARTS = ("steps", "values", "timestamps")

Arguments = ParamSpec("Arguments")


def as_far_as_it_goes(
    event: Callable[Concatenate["FolderRecord", Arguments], None],
) -> Callable[Concatenate["FolderRecord", Arguments], None]:
    """Let an experiment go on whose record cannot be written; at the first time say so.

    The heart beats in a thread of its own: one event is written after the other.
    """

    @functools.wraps(event)
    def handle(self: "FolderRecord", /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        what = str(kwargs.get("name") or event.__name__)
        try:
            with self.one_at_a_time:
                event(self, *args, **kwargs)
        except OSError as error:
            self.missing.add(what)
            if not self._has_said_so:
                self._has_said_so = True
                logger.warning(
                    "%s cannot be written (%s); metrics are kept until there is space again.",
                    self.dir,
                    error.strerror or error,
                )
        else:
            self.missing.discard(what)

    return handle


def at_the_end(
    event: Callable[Concatenate["FolderRecord", Arguments], None],
) -> Callable[Concatenate["FolderRecord", Arguments], None]:
    """Store how an experiment ended, if need be in the space that was kept for that."""

    @functools.wraps(event)
    def handle(self: "FolderRecord", /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        give_up_reserve(Path(self.dir))
        self.log_metrics({}, {})
        if self.missing:
            self.run_entry[MISSING] = sorted(self.missing)
        event(self, *args, **kwargs)

    return as_far_as_it_goes(handle)


class FolderRecord(FileStorageObserver):
    """A folder for each experiment, readable at any moment, also after a kill or on a full disk.

    Attributes:
        missing: the events and artifacts that could not be written.
        one_at_a_time: is held while an event is written.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, priority=LOCAL_PRIORITY)
        self.missing: set[str] = set()
        self.one_at_a_time = threading.RLock()
        self._has_said_so = False
        self._unsaved: dict[str, dict[str, list[Any]]] = {}

    def started_event(self, *args: Any, **kwargs: Any) -> Any:
        """Make the folder, and keep some space for the end of the experiment."""
        experiment_id = super().started_event(*args, **kwargs)
        self._keep_reserve()
        return experiment_id

    @as_far_as_it_goes
    def _keep_reserve(self) -> None:
        keep_reserve(Path(self.dir))

    def find_or_save(self, filename: str, store_dir: Path) -> Path:
        """Store a source or a resource, of which no half is ever seen."""
        store_dir.mkdir(parents=True, exist_ok=True)
        content = Path(filename).read_bytes()
        kept = store_dir / kept_name(filename, content)
        if not kept.exists():
            write_whole(kept, content)
        return kept

    def save_json(self, obj: Any, filename: str) -> None:
        """Write a file, of which no half is ever seen."""
        with in_place_of(Path(self.dir) / filename) as unfinished:
            super().save_json(obj, unfinished.name)

    def save_file(self, filename: str, target_name: str | None = None) -> None:
        """Copy a file, of which no half is ever seen."""
        target = Path(self.dir) / (target_name or Path(filename).name)
        if target.exists() and target.samefile(filename):
            return
        with in_place_of(target) as unfinished:
            super().save_file(filename, unfinished.name)

    @as_far_as_it_goes
    def log_metrics(self, metrics_by_name: Mapping[str, Any], info: dict[str, Any]) -> None:
        """Store new values, and all metrics in a few numbers for tables of many experiments.

        Values that cannot be stored are kept for the next time.
        """
        for name, metric in metrics_by_name.items():
            unsaved = self._unsaved.setdefault(name, {part: [] for part in _PARTS})
            for part in _PARTS:
                unsaved[part] += metric[part]
        if not self._unsaved:
            return
        super().log_metrics(self._unsaved, info)
        self._unsaved = {}
        path = Path(self.dir) / METRICS_FILE
        write_summaries(path, read_json(path))

    heartbeat_event = as_far_as_it_goes(FileStorageObserver.heartbeat_event)

    @as_far_as_it_goes
    def artifact_event(
        self,
        name: str,
        filename: str,
        metadata: Mapping[str, Any] | None = None,
        content_type: str | None = None,
    ) -> None:
        """Store an artifact under its name with the file's suffix, so that it opens by a click."""
        self.save_file(filename, self.stored_as(name, filename).name)
        self.run_entry["artifacts"].append(name)
        self.save_json(self.run_entry, "run.json")

    def stored_as(self, name: str, filename: str) -> Path:
        """Where the file of an artifact is kept."""
        return Path(self.dir) / artifact_file_name(name, Path(filename).suffix)

    completed_event = at_the_end(FileStorageObserver.completed_event)
    interrupted_event = at_the_end(FileStorageObserver.interrupted_event)
    failed_event = at_the_end(FileStorageObserver.failed_event)
