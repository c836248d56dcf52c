"""A watch as an ordinary record in a folder: in Sacred's layout, and without Sacred."""

import contextlib
import json
import os
import platform
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from deep_bottleneck.interfaces import Status
from deep_bottleneck.machine.disk_space import disk_full_said
from deep_bottleneck.machine.processes import this_process
from deep_bottleneck.machine.whole_file import write_whole
from deep_bottleneck.plotter.style import DPI
from deep_bottleneck.storage.base import ExperimentId
from deep_bottleneck.storage.folder_store import (
    CONFIG_FILE,
    INFO_FILE,
    METRICS_FILE,
    OUTPUT_FILE,
    RUN_FILE,
    FolderStore,
    artifact_file_name,
)
from deep_bottleneck.storage.own_files import write_json
from deep_bottleneck.storage.summaries import write_summaries

NAME = "watch"
_PACKAGES = ("torch", "numpy", "keras", "jax")


class WatchRecord:
    """The record of a watch, which can be read at any moment.

    Attributes:
        id: its id.
        folder: where it is.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any], info: Mapping[str, Any]) -> None:
        """Make the record, with the next number that is free as its id.

        Args:
            folder: the folder of records.
            config: what is watched, and how, in JSON's types.
            info: what else there is to know, in JSON's types.

        Raises:
            RecordError: if it cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._series: dict[str, dict[str, list[Any]]] = {}
        self._run: dict[str, Any] = {
            "experiment": {
                "name": NAME,
                "base_dir": os.getcwd(),  # noqa: PTH109 - Sacred's own word for it
                "sources": [],
                "repositories": [],
                "dependencies": _dependencies(),
                "mainfile": None,
            },
            "command": NAME,
            "host": {
                "hostname": platform.node(),
                "os": [platform.system(), platform.platform()],
                "python_version": platform.python_version(),
                "process": this_process(),
            },
            "meta": {"command": NAME, "options": {}},
            "resources": [],
            "artifacts": [],
            "status": Status.RUNNING.value,
            "start_time": _now(),
            "heartbeat": _now(),
            "result": None,
        }
        # begun elsewhere, so that nobody sees a half
        with disk_full_said(folder), tempfile.TemporaryDirectory(dir=folder, prefix=".") as begun:
            self.folder = Path(begun) / NAME
            self.folder.mkdir()
            write_json(self.folder / CONFIG_FILE, dict(config))
            write_json(self.folder / INFO_FILE, dict(info))
            write_whole(self.folder / OUTPUT_FILE, "")
            self._write_run()
            self.id: ExperimentId = FolderStore(folder).adopt(self.folder, _next_id(folder))
        self.folder = folder / str(self.id)

    def add_table(self, name: str, table: pd.DataFrame) -> None:
        """Store a table as an artifact, in place of an earlier one of this name."""
        self.add_text(name, ".csv", table.to_csv(index=False))

    def add_text(self, name: str, suffix: str, content: str) -> None:
        """Store a text as an artifact, in place of an earlier one of this name."""
        with disk_full_said(self.folder):
            write_whole(self.folder / artifact_file_name(name, suffix), content)
        self._name(name)

    def add_figure(self, name: str, figure: Figure) -> None:
        """Store a picture as an artifact, in place of an earlier one of this name."""
        with disk_full_said(self.folder):
            figure.savefig(self.folder / artifact_file_name(name, ".png"), dpi=DPI)
        self._name(name)

    def set_metrics(self, metrics: Mapping[str, Mapping[int, float]]) -> None:
        """Store all metrics, each by its steps."""
        for name, values in metrics.items():
            known = self._series.setdefault(name, {"steps": [], "values": [], "timestamps": []})
            new = {step: value for step, value in values.items() if step not in known["steps"]}
            known["steps"] += new
            known["values"] += new.values()
            known["timestamps"] += [_now()] * len(new)
        if self._series:
            with disk_full_said(self.folder):
                write_json(self.folder / METRICS_FILE, self._series)
                write_summaries(self.folder / METRICS_FILE, self._series)

    def beat(self) -> None:
        """Show that the watch goes on."""
        self._run["heartbeat"] = _now()
        self._write_run()

    def end(self, status: Status, result: Any = None) -> None:
        """Store how it ended."""
        self._run |= {"status": status.value, "stop_time": _now(), "result": result}
        self.beat()

    def _name(self, artifact: str) -> None:
        if artifact not in self._run["artifacts"]:
            self._run["artifacts"].append(artifact)
            self._write_run()

    def _write_run(self) -> None:
        with disk_full_said(self.folder):
            write_json(self.folder / RUN_FILE, self._run)


def in_json(value: Any) -> Any:
    """A value in JSON's types; what has none there in words."""
    return json.loads(json.dumps(value, default=str))


def _next_id(folder: Path) -> int:
    ids = [int(path.name) for path in folder.iterdir() if path.name.isdecimal()]
    return max(ids, default=0) + 1


def _dependencies() -> list[str]:
    found = []
    for name in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found.append(f"{name}=={version(name)}")
    return found


def _now() -> str:
    return datetime.now(UTC).replace(tzinfo=None).isoformat()
