"""Finds what killed processes and damage have left in a store, and mends what can be mended."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from deep_bottleneck.errors import RecordError, StoreGoneError
from deep_bottleneck.interfaces import Status
from deep_bottleneck.machine.disk_space import RESERVE_FILE, leftovers
from deep_bottleneck.storage.base import Entry, RecordStore, readable
from deep_bottleneck.storage.folder_store import FolderStore
from deep_bottleneck.storage.mongo_store import MongoStore
from deep_bottleneck.storage.moving.download import UNFINISHED_RECORD
from deep_bottleneck.storage.names import STORE_NAME
from deep_bottleneck.storage.own_files import is_there

# so long a process may take that still writes
_WRITTEN_WITHIN = 3600.0


class Finding(NamedTuple):
    """Something in a store that is not as it should be.

    Attributes:
        where: the experiment or file.
        what: what is wrong.
        mended: what was done about it, "" if nothing was.
    """

    where: str
    what: str
    mended: str = ""


def examine(store: RecordStore, mend: bool) -> Iterator[Finding]:
    """Look for experiments that are LOST or not whole, for leftovers and for files of nobody.

    Args:
        store: where to look.
        mend: whether to end LOST experiments at their last heartbeat, and delete what only dead
            processes needed and files in a database that belong to no experiment. A record that is
            damaged is left alone.

    Yields:
        What was found.
    """
    try:
        ids = store.ids()
    except StoreGoneError:
        raise
    except RecordError as error:
        yield Finding(repr(store), str(error))
        return
    for id_ in ids:
        where = f"experiment {id_}"
        try:
            store.check_whole(id_)
        except StoreGoneError:
            raise
        except RecordError as error:
            yield Finding(where, str(error))
        for entry in readable([id_], store.entry).values():
            yield from _of_one(store, entry, mend)
    if isinstance(store, FolderStore):
        yield from _in_folder(store, mend)
    if isinstance(store, MongoStore):
        yield from _in_database(store, mend)


def _of_one(store: RecordStore, entry: Entry, mend: bool) -> Iterator[Finding]:
    """What a process has left in an experiment that it did not end."""
    where = f"experiment {entry.id}"
    if entry.status == Status.LOST and entry.stored_status != Status.LOST:
        if mend:
            store.mark_lost(entry.id)
        last = entry.heartbeat or entry.start_time
        what = f"should be running, but has given no sign since {last}"
        yield Finding(where, what, "marked as LOST" if mend else "")
    if isinstance(store, FolderStore) and entry.status != Status.RUNNING:
        for path in leftovers(store.folder_of(entry.id)):
            yield _left(where, path, mend)
        recorded = store.folder_of(entry.id) / STORE_NAME
        if entry.status == Status.COMPLETED and is_there(recorded):
            for config in readable([entry.id], store.config).values():
                if not config.get("keep_activations", True):
                    yield _left(where, recorded, mend)


def _in_folder(store: FolderStore, mend: bool) -> Iterator[Finding]:
    """What lies beside the experiments of a folder and is none."""
    for pattern in (f"{UNFINISHED_RECORD}*", f"{RESERVE_FILE}_*"):
        for path in store.folder.glob(pattern):
            if time.time() - path.lstat().st_mtime > _WRITTEN_WITHIN:
                yield _left(repr(store), path, mend)
    for name in store.strays():
        yield Finding(f"folder {name}", "is named like an experiment and has no run.json")


def _in_database(store: MongoStore, mend: bool) -> Iterator[Finding]:
    """Experiments that cannot be asked for, and files of nobody."""
    for strange in store.strange_ids():
        yield Finding(f"experiment {strange}", "its id is neither a number nor text")
    try:
        files = store.unreferenced_files()
    except RecordError as error:
        yield Finding("files", f"whose they are cannot be told: {error}")
        return
    for file_id, name in files:
        if mend:
            store.fs.delete(file_id)
        yield Finding(f"file {name}", "belongs to no experiment", "deleted" if mend else "")


def _left(where: str, path: Path, mend: bool) -> Finding:
    if mend:
        is_folder = path.is_dir() and not path.is_symlink()
        shutil.rmtree(path) if is_folder else path.unlink(missing_ok=True)
    return Finding(
        where, f"{path.name} was left by a process that is gone", "deleted" if mend else ""
    )
