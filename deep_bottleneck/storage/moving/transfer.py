"""What moving experiments between a folder and a database has in common."""

import fcntl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from deep_bottleneck.errors import RecordError, StoreGoneError
from deep_bottleneck.storage.base import ExperimentId

_LOCK = ".sync.lock"


class Transfer(NamedTuple):
    """What was done for one experiment.

    Attributes:
        id: its id where it comes from.
        there: its id where it goes to, None if it is not there.
        done: "new", "completed" (some of it was missing), "nothing" (all of it was there already),
            "still running" or why it cannot be moved.
        failed: whether it should be there, all of it, and is not.
        moved: whether something was moved.
    """

    id: ExperimentId
    there: ExperimentId | None
    done: str
    failed: bool = False
    moved: bool = False


def table(transfers: Iterable[Transfer]) -> str:
    """Which experiment is which, and what was done, as text."""
    rows = [(str(t.id), "-" if t.there is None else t.there, t.done) for t in transfers]
    return pd.DataFrame(rows, columns=["id", "id there", "done"]).to_string(index=False)


@contextmanager
def noting(lacking: dict[str, str], name: str) -> Iterator[None]:
    """Note why something of an experiment cannot be moved, and go on with the rest.

    Raises:
        StoreGoneError: if the database is gone, or lets nobody in.
    """
    try:
        yield
    except StoreGoneError:
        raise
    except RecordError as error:
        lacking[name] = str(error)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Make sure that no other process moves experiments of a folder at the same time.

    Raises:
        RecordError: if one does, or the folder cannot be written.
    """
    try:
        with (folder / _LOCK).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
    except BlockingIOError:
        raise RecordError(
            f"another process is moving experiments of {folder}: wait until it has ended"
        ) from None
    except OSError as error:
        raise RecordError(f"{folder} cannot be used: {error}") from None
