"""Files of a record, read as what anybody may have written: no link leads out of it."""

import errno
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from deep_bottleneck.errors import RecordError
from deep_bottleneck.machine.whole_file import write_whole


def flaw(path: Path) -> str | None:
    """What keeps a file of a record from being read, None if nothing does."""
    try:
        _opened(path).close()
    except RecordError as error:
        return str(error)
    return None


def is_there(path: Path) -> bool:
    """Whether something has this name, be it readable or not."""
    try:
        path.lstat()
    except OSError as error:
        return error.errno not in (errno.ENOENT, errno.ENOTDIR)
    return True


def open_own(path: Path) -> BinaryIO:
    """Open a file of a record for reading.

    Raises:
        RecordError: if it is not there, cannot be read, or is a link or something else.
    """
    try:
        return _opened(path)
    except RecordError as error:
        raise RecordError(f"{path} cannot be read: {error}") from None


def read_own(path: Path) -> bytes:
    """All bytes of a file of a record.

    Raises:
        RecordError: as of `open_own`.
    """
    with open_own(path) as file:
        try:
            return file.read()
        except OSError as error:
            raise RecordError(f"{path} cannot be read: {_reason(error)}") from None


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        RecordError: if it is not there, cannot be read, or holds something else.
    """
    if not is_there(path):
        raise RecordError(f"{path.parent} is no experiment: there is no {path.name}")
    content = read_own(path)
    with reading(path):
        found = json.loads(content)
    if not isinstance(found, dict):
        raise RecordError(f"{path} cannot be read: it holds a {type(found).__name__}")
    return found


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Replace a JSON file at once, so that nobody sees it half-written."""
    write_whole(path, json.dumps(content, sort_keys=True, indent=2))


@contextmanager
def reading(what: object) -> Iterator[None]:
    """Say in one sentence what in a file, or of an experiment, is not as it should be.

    Args:
        what: the file or the experiment.

    Raises:
        RecordError: if something is missing, or is of another kind.
    """
    try:
        yield
    except KeyError as error:
        raise RecordError(f"{what} cannot be read: {error} is missing") from None
    except RecursionError:
        raise RecordError(f"{what} cannot be read: it is nested too deep") from None
    except (ArithmeticError, AttributeError, IndexError, TypeError, ValueError) as error:
        raise RecordError(f"{what} cannot be read: {error}") from None


def _opened(path: Path) -> BinaryIO:
    if path.is_symlink() or path.parent.is_symlink():
        raise RecordError("it is a link, and links in a record are not followed")
    try:
        # nobody waits for a pipe
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise RecordError(_reason(error)) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise RecordError("it is no file")
    return os.fdopen(descriptor, "rb")


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
