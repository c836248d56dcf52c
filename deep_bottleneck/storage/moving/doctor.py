"""Finds what killed processes have left in a store, and mends it."""

from collections.abc import Iterator
from typing import NamedTuple

from deep_bottleneck.errors import RecordError
from deep_bottleneck.interfaces import Status
from deep_bottleneck.storage.base import RecordStore
from deep_bottleneck.storage.mongo_store import MongoStore


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
    """Look for experiments that are LOST, records that cannot be read and files of nobody.

    Args:
        store: where to look.
        mend: whether to end LOST experiments at their last heartbeat, and delete the files in a
            database that belong to no experiment. A record that cannot be read is left alone.

    Yields:
        What was found.
    """
    for id_ in store.ids():
        try:
            store.check_whole(id_)
        except RecordError as error:
            yield Finding(f"experiment {id_}", str(error))
            continue
        entry = store.entries([id_])[id_]
        if entry.status == Status.LOST and entry.stored_status != Status.LOST:
            if mend:
                store.mark_lost(id_)
            last = entry.heartbeat or entry.start_time
            what = f"should be running, but has given no sign since {last}"
            yield Finding(f"experiment {id_}", what, "marked as LOST" if mend else "")
    if isinstance(store, MongoStore):
        for file_id, name in store.unreferenced_files():
            if mend:
                store.fs.delete(file_id)
            yield Finding(f"file {name}", "belongs to no experiment", "deleted" if mend else "")
