"""Bring experiments of a database into a folder, as the local record would have left them."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from deep_bottleneck.errors import RecordError, StoreGoneError
from deep_bottleneck.interfaces import Status
from deep_bottleneck.machine.whole_file import write_whole
from deep_bottleneck.storage.base import ExperimentId, StoredFile, listed
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
from deep_bottleneck.storage.identity import IDENTITY, identity_of, kept_name
from deep_bottleneck.storage.mongo_store import MongoStore
from deep_bottleneck.storage.moving.transfer import Transfer, noting
from deep_bottleneck.storage.own_files import reading
from deep_bottleneck.storage.summaries import write_summaries

UNFINISHED_RECORD = ".unfinished_"
_ELSEWHERE = ("_id", "config", "captured_out", "captured_out_file", "info")


def download(source: MongoStore, target: FolderStore) -> Iterator[Transfer]:
    """Write the experiments that a folder lacks; one that has the folder already stays as it is.

    An experiment appears in the folder when all of it is there, under its id or, where another has
    that, the next free one.

    An experiment that is not as it should be, or an artifact that a record cannot have, is named,
    and the others are written.

    Yields:
        What was done for each experiment.

    Raises:
        StoreGoneError: if the database is gone, or lets nobody in.
    """
    there = target.identities()
    for strange in source.strange_ids():
        yield Transfer(strange, None, "its id is neither a number nor text", failed=True)
    for id_ in source.ids():
        try:
            yield _downloaded(source, target, id_, there)
        except StoreGoneError:
            raise
        except (RecordError, OSError) as error:
            yield Transfer(id_, None, str(error), failed=True)


def _downloaded(
    source: MongoStore, target: FolderStore, id_: ExperimentId, there: Mapping[str, ExperimentId]
) -> Transfer:
    run, entry = source.document(id_), source.entry(id_)
    with reading(f"experiment {id_}"):
        identity = identity_of(run, id_)
        if identity in there:
            return Transfer(id_, there[identity], "nothing")
        if entry.status == Status.RUNNING:
            return Transfer(id_, None, "still running")
        lacking: dict[str, str] = {}
        stored_id = _write(source, target, {**run, IDENTITY: identity}, lacking)
    said = f"new, without {listed(lacking)}" if lacking else "new"
    return Transfer(id_, stored_id, said, failed=bool(lacking), moved=True)


def _write(
    source: MongoStore, target: FolderStore, run: Mapping[str, Any], lacking: dict[str, str]
) -> ExperimentId:
    """Write an experiment, and note why something of it is not written."""
    with tempfile.TemporaryDirectory(dir=target.folder, prefix=UNFINISHED_RECORD) as scratch:
        folder = Path(scratch) / "record"
        folder.mkdir()
        experiment = dict(run.get("experiment") or {})
        sources, artifacts = [], []
        for name, file_id in experiment.get("sources") or ():
            with noting(lacking, name):
                sources.append([name, _write_source(source, target, name, file_id)])
        for name, stored in source.files(run["_id"]).items():
            with noting(lacking, name):
                _write_artifact(folder, stored)
                artifacts.append(name)
        experiment["sources"] = sources
        lacking |= source.lacking(run["_id"])
        document = {name: value for name, value in run.items() if name not in _ELSEWHERE}
        document |= {"experiment": experiment, "artifacts": artifacts}
        (folder / OUTPUT_FILE).write_bytes(source.output(run))
        _write_json(folder / RUN_FILE, document)
        _write_json(folder / CONFIG_FILE, run.get("config") or {})
        if run.get("info"):
            _write_json(folder / INFO_FILE, run["info"])
        metrics = source.stored_metrics(run["_id"])
        if metrics:
            _write_json(folder / METRICS_FILE, metrics)
            write_summaries(folder / METRICS_FILE, metrics)
        return target.adopt(folder, run["_id"])


def _write_artifact(folder: Path, artifact: StoredFile) -> None:
    path = folder / artifact_file_name(artifact.name, artifact.suffix)
    if path.exists():
        raise RecordError(f"{path.name} is the file of another artifact")
    with artifact.open() as file, path.open("wb") as copy:
        shutil.copyfileobj(file, copy)


def _write_source(source: MongoStore, target: FolderStore, name: str, file_id: Any) -> str:
    """Store a source file where the local record keeps those of all experiments."""
    content = source.read(file_id)
    kept = f"{SOURCES_FOLDER}/{kept_name(name, content)}"
    path = target.source(kept)
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        write_whole(path, content)
    return kept


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(
        json.dumps(content, sort_keys=True, indent=2, default=_as_json), encoding="utf-8"
    )


def _as_json(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
