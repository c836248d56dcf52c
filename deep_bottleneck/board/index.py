"""What the table says of a thousand records, read again only where a file has changed."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deep_bottleneck.errors import RecordError
from deep_bottleneck.storage.base import ExperimentId, RecordStore, as_id, sort_key
from deep_bottleneck.storage.folder_store import CONFIG_FILE, RUN_FILE, FolderStore

Stamp = tuple[int, int, int]


def indexed(store: RecordStore) -> RecordStore:
    """The same experiments, in a store that remembers them if they are files."""
    return Index(store.folder) if isinstance(store, FolderStore) else store


class Index(FolderStore):
    """The experiments below a folder; what was read of a file holds until the file changes.

    Its entries lack sources, which no table shows and which are most of a record.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._known: dict[tuple[ExperimentId, str], tuple[Stamp, dict[str, Any]]] = {}

    def ids(self) -> list[ExperimentId]:
        """The ids of all experiments: the folders that have a `run.json`."""
        try:
            with os.scandir(self.folder) as below:
                names = [one.name for one in below if _stamp(f"{one.path}/{RUN_FILE}")]
        except OSError as error:
            raise RecordError(f"{self.folder} cannot be read: {error}") from None
        return sorted(map(as_id, names), key=sort_key)

    def document(self, experiment_id: ExperimentId) -> dict[str, Any]:
        """What is in the record's `run.json`, without sources."""
        return self._remembered(experiment_id, RUN_FILE, super().document)

    def config(self, experiment_id: ExperimentId) -> dict[str, Any]:
        """The hyperparameters of an experiment."""
        return self._remembered(experiment_id, CONFIG_FILE, super().config)

    def _remembered(
        self,
        experiment_id: ExperimentId,
        file_name: str,
        read: Callable[[ExperimentId], dict[str, Any]],
    ) -> dict[str, Any]:
        # before it is read: what is written meanwhile is read the next time
        stamp = _stamp(f"{self.folder}/{experiment_id}/{file_name}")
        known = self._known.get((experiment_id, file_name))
        if known and known[0] == stamp:
            return known[1]
        content = read(experiment_id)
        if isinstance(content.get("experiment"), dict):
            content["experiment"].pop("sources", None)
        if stamp:
            self._known[experiment_id, file_name] = stamp, content
        return content


def _stamp(path: str) -> Stamp | None:
    """What is different once a file has been written, None where there is no such file."""
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
