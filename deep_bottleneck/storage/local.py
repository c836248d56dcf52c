"""The local record: a folder for each experiment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sacred.observers import FileStorageObserver

from deep_bottleneck.records.local import METRICS_FILE, artifact_file_name, read_json
from deep_bottleneck.records.summaries import write_summaries

LOCAL_PRIORITY = 40


class LocalRecord(FileStorageObserver):
    """A folder for each experiment, readable at any moment, also after a kill."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, priority=LOCAL_PRIORITY)

    def save_json(self, obj: Any, filename: str) -> None:
        """Write to a temporary file and rename it, so that no half-written file is ever seen."""
        unfinished = f".{filename}.unfinished"
        super().save_json(obj, unfinished)
        folder = Path(self.dir)
        (folder / unfinished).replace(folder / filename)

    def log_metrics(self, metrics_by_name: Mapping[str, Any], info: dict[str, Any]) -> None:
        """Store new values, and all metrics in a few numbers for tables of many experiments."""
        if not metrics_by_name:
            return
        super().log_metrics(metrics_by_name, info)
        path = Path(self.dir) / METRICS_FILE
        write_summaries(path, read_json(path))

    def artifact_event(
        self,
        name: str,
        filename: str,
        metadata: Mapping[str, Any] | None = None,
        content_type: str | None = None,
    ) -> None:
        """Store an artifact under its name with the file's suffix, so that it opens by a click."""
        self.save_file(filename, artifact_file_name(name, Path(filename).suffix))
        self.run_entry["artifacts"].append(name)
        self.save_json(self.run_entry, "run.json")
