"""Tells whoever launched an experiment how it is doing."""

import json
from pathlib import Path
from typing import Any

from sacred.observers import RunObserver

# before the local record takes its time, after it has chosen the id
REPORT_PRIORITY = 39


class JobReport(RunObserver):
    """Tells whoever launched an experiment its id and status, in a small JSON file."""

    priority = REPORT_PRIORITY

    def __init__(self, path: Path) -> None:
        self._path = path
        self._id: Any = None

    def started_event(self, _id: Any, **event: Any) -> Any:
        """The experiment has an id."""
        self._id = _id
        self._write("RUNNING")
        return _id

    def completed_event(self, **event: Any) -> None:
        """The experiment is complete."""
        self._write("COMPLETED")

    def interrupted_event(self, status: str, **event: Any) -> None:
        """The experiment was interrupted."""
        self._write(status)

    def failed_event(self, **event: Any) -> None:
        """The experiment has failed."""
        self._write("FAILED")

    def _write(self, status: str) -> None:
        self._path.write_text(json.dumps({"id": str(self._id), "status": status}))
