"""What happens on a full disk: one sentence, and a little space that was kept for the end."""

import ctypes
import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from deep_bottleneck.errors import DiskFullError
from deep_bottleneck.machine.whole_file import UNFINISHED

RESERVE_FILE = ".reserve"
# what is written last: metrics, output and how the experiment ended
RESERVED_BYTES = 2**20
# what a file takes besides its content
MARGIN_BYTES = 2**20
_FULL = (errno.ENOSPC, errno.EDQUOT)
# of fallocate(2): blocks behind the end of a file that stays as long as it is
_KEEP_SIZE = 1


def make_sure_of_space(folder: Path) -> None:
    """Make a folder, and make sure that there is space in it for an experiment.

    Raises:
        DiskFullError: if there is none.
    """
    with disk_full_said(folder):
        folder.mkdir(parents=True, exist_ok=True)
        trial = folder / f"{RESERVE_FILE}_{os.getpid()}"
        try:
            trial.write_bytes(bytes(RESERVED_BYTES))
        finally:
            trial.unlink(missing_ok=True)


def require(path: Path, n_bytes: int) -> None:
    """Make sure that there is space for a file to grow.

    Args:
        path: the file.
        n_bytes: by how much at least; twice that and a little more must be free.

    Raises:
        OSError: as of a full disk.
    """
    if shutil.disk_usage(path.parent).free < _with_margin(n_bytes):
        raise _disk_full(path)


def claim(path: Path, descriptor: int, n_bytes: int) -> None:
    """Take space for a file to grow, so that others who fill the disk meanwhile cannot have it.

    Where the file system cannot promise space it is only looked for, as `require` does.

    Args:
        path: the file.
        descriptor: of the open file.
        n_bytes: by how much it grows at least; twice that and a little more is taken.

    Raises:
        OSError: as of a full disk.
    """
    require(path, n_bytes)
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "fallocate"):
        return
    end, length = os.fstat(descriptor).st_size, _with_margin(n_bytes)
    refused = libc.fallocate(descriptor, _KEEP_SIZE, ctypes.c_int64(end), ctypes.c_int64(length))
    if refused and ctypes.get_errno() in _FULL:
        raise _disk_full(path)


def give_back(path: Path) -> None:
    """Let others have what was taken by `claim` for a file that is whole, and not needed."""
    os.truncate(path, path.stat().st_size)


def _with_margin(n_bytes: int) -> int:
    return 2 * n_bytes + MARGIN_BYTES


def _disk_full(path: Path) -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def leftovers(folder: Path) -> Iterator[Path]:
    """Files that only the process needed which wrote in a folder: space it kept, halves of files.

    Args:
        folder: one in which no process writes any more.
    """
    for pattern in (f"{RESERVE_FILE}*", f".*{UNFINISHED}"):
        yield from folder.glob(pattern)


def keep_reserve(folder: Path) -> None:
    """Keep some space in the folder of an experiment."""
    (folder / RESERVE_FILE).write_bytes(bytes(RESERVED_BYTES))


def give_up_reserve(folder: Path) -> None:
    """Let the space that was kept be used."""
    with suppress(OSError):
        (folder / RESERVE_FILE).unlink()


@contextmanager
def disk_full_said(folder: Path) -> Iterator[None]:
    """Say in one sentence that a disk is full, and give up the space that was kept.

    Args:
        folder: what is being written.

    Raises:
        DiskFullError: in place of the errors of a full disk.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        give_up_reserve(folder)
        raise DiskFullError(
            f"{error.filename or folder} cannot be written: {os.strerror(error.errno)}. What was "
            "recorded until now is kept; make space, or let DEEP_BOTTLENECK_RUNS name a folder on "
            "another disk"
        ) from None
