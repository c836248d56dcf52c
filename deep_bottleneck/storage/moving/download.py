"""Bring experiments of a database into a folder, as the local record would have left them."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from deep_bottleneck.errors import RecordError
from deep_bottleneck.interfaces import Status
from deep_bottleneck.storage.base import ExperimentId
from deep_bottleneck.storage.folder_store import (
    CONFIG_FILE,
    INFO_FILE,
    METRICS_FILE,
    OUTPUT_FILE,
    RUN_FILE,
    SOURCES_FOLDER,
    FolderStore,
    artifact_file_name,
)
from deep_bottleneck.storage.identity import IDENTITY, digest_of, identity_of
from deep_bottleneck.storage.mongo_store import MongoStore
from deep_bottleneck.storage.moving.transfer import Transfer
from deep_bottleneck.storage.summaries import write_summaries

_ELSEWHERE = ("_id", "config", "captured_out", "info")


def download(source: MongoStore, target: FolderStore) -> Iterator[Transfer]:
    """Write the experiments that a folder lacks; one that has the folder already stays as it is.

    An experiment appears in the folder when all of it is there, under its id or, where another has
    that, the next free one.

    Yields:
        What was done for each experiment.

    Raises:
        RecordError: if the database refuses or is gone.
    """
    there = target.identities()
    for id_ in source.ids():
        run = source.document(id_)
        identity = identity_of(run, id_)
        if identity in there:
            yield Transfer(id_, there[identity], "nothing")
        elif source.entries([id_])[id_].status == Status.RUNNING:
            yield Transfer(id_, None, "still running")
        else:
            try:
                stored_id = _write(source, target, {**run, IDENTITY: identity})
            except (RecordError, OSError) as error:
                yield Transfer(id_, None, str(error), failed=True)
            else:
                yield Transfer(id_, stored_id, "new")


def _write(source: MongoStore, target: FolderStore, run: Mapping[str, Any]) -> ExperimentId:
    with tempfile.TemporaryDirectory(dir=target.folder, prefix=".unfinished_") as scratch:
        folder = Path(scratch) / "record"
        folder.mkdir()
        experiment = dict(run.get("experiment") or {})
        experiment["sources"] = [
            [name, _write_source(source, target, name, file_id)]
            for name, file_id in experiment.get("sources") or ()
        ]
        files = source.files(run["_id"])
        for name, stored in files.items():
            with stored.open() as file:
                path = folder / artifact_file_name(name, stored.suffix)
                with path.open("wb") as copy:
                    shutil.copyfileobj(file, copy)
        document = {name: value for name, value in run.items() if name not in _ELSEWHERE}
        document |= {"experiment": experiment, "artifacts": list(files)}
        (folder / OUTPUT_FILE).write_text(run.get("captured_out") or "")
        _write_json(folder / RUN_FILE, document)
        _write_json(folder / CONFIG_FILE, run.get("config") or {})
        if run.get("info"):
            _write_json(folder / INFO_FILE, run["info"])
        metrics = source.stored_metrics(run["_id"])
        if metrics:
            _write_json(folder / METRICS_FILE, metrics)
            write_summaries(folder / METRICS_FILE, metrics)
        return target.adopt(folder, run["_id"])


def _write_source(source: MongoStore, target: FolderStore, name: str, file_id: Any) -> str:
    """Store a source file where the local record keeps those of all experiments."""
    content = source.read(file_id)
    kept = f"{Path(name).stem}_{digest_of(content)}{Path(name).suffix}"
    relative = Path(SOURCES_FOLDER) / kept
    path = target.folder / relative
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    return str(relative)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(
        json.dumps(content, sort_keys=True, indent=2, default=_as_json), encoding="utf-8"
    )


def _as_json(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
