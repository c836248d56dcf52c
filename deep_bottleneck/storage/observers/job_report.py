"""Tells whoever launched an experiment how it is doing."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sacred.observers import RunObserver

from deep_bottleneck.interfaces import Status
from deep_bottleneck.machine.processes import this_process
from deep_bottleneck.machine.whole_file import write_whole

# before the local record takes its time, after it has chosen the id
REPORT_PRIORITY = 39


class JobReport(RunObserver):
    """Tells whoever launched an experiment how it is doing, in a small JSON file.

    The file has the keys id, status, process, epochs (to train), epoch (the last one logged, or
    null) and error (the last line of what went wrong, or ""); it is written anew with every
    heartbeat.
    """

    priority = REPORT_PRIORITY

    def __init__(self, path: Path) -> None:
        self._path = path
        self._told: dict[str, Any] = {}

    def started_event(self, _id: Any, config: Mapping[str, Any], **event: Any) -> Any:
        """The experiment has an id."""
        self._told = {
            "id": str(_id),
            "process": this_process(),
            "epochs": config.get("epochs"),
            "epoch": None,
            "error": "",
        }
        self._write(Status.RUNNING)
        return _id

    def log_metrics(self, metrics_by_name: Mapping[str, Any], info: Any) -> None:
        """Epochs were logged."""
        steps = [metric["steps"][-1] for metric in metrics_by_name.values() if metric["steps"]]
        self._told["epoch"] = max([*steps, *filter(None, [self._told["epoch"]])], default=None)

    def heartbeat_event(self, **event: Any) -> None:
        """The experiment is alive."""
        self._write(Status.RUNNING)

    def completed_event(self, **event: Any) -> None:
        """The experiment is complete."""
        self._write(Status.COMPLETED)

    def interrupted_event(self, status: str, **event: Any) -> None:
        """The experiment was interrupted."""
        self._write(status)

    def failed_event(self, fail_trace: Sequence[str], **event: Any) -> None:
        """The experiment has failed."""
        lines = "".join(fail_trace).split("\n")
        self._told["error"] = next((line for line in reversed(lines) if line.strip()), "")
        self._write(Status.FAILED)

    def _write(self, status: str) -> None:
        write_whole(self._path, json.dumps({**self._told, "status": status}))
