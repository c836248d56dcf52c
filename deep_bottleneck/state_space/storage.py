"""The raw states on disk, in the order they were observed (zarr, compressed)."""

import contextlib
import logging
import os
import shutil
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from deep_bottleneck.errors import RecordError

logger = logging.getLogger(__name__)

_BYTES_PER_CHUNK = 2**22


class StateStore:
    """An array on disk that grows by rows, written in whole compressed chunks.

    Rows wait in memory until they fill a chunk of 4 MiB, for `flush`, or until their owner is gone
    or the process ends. A write that fails keeps them, so that it is tried again with the next
    rows.

    Args:
        path: the folder of the zarr array; it must not exist yet.
        n_bytes: the length of a row.
        owner: what the rows are from.

    Raises:
        RecordError: if the path is taken or cannot be created.
        ModuleNotFoundError: if zarr is not installed.
    """

    def __init__(self, path: Path, n_bytes: int, owner: object) -> None:
        self._path = path
        self._chunk_rows = max(1, _BYTES_PER_CHUNK // n_bytes)
        self._pending = np.empty((0, n_bytes), np.uint8)
        self._n_written = 0
        self._array = _create_array(path, n_bytes, self._chunk_rows)
        self._process = os.getpid()
        self._at_end = weakref.finalize(owner, self._finish)
        _before_threads_end(self._at_end)

    def append(self, rows: np.ndarray) -> None:
        """Add rows; either all of them are taken or, with an error, none.

        Args:
            rows: uint8, shape (n_rows, n_bytes).

        Raises:
            RecordError: if the disk does not take a chunk that was due before.
        """
        whole_chunks = len(self._pending) // self._chunk_rows * self._chunk_rows
        if whole_chunks:
            self._write(self._pending[:whole_chunks])
            self._n_written += whole_chunks
            self._pending = self._pending[whole_chunks:]
        self._pending = np.concatenate([self._pending, rows])

    def read(self) -> np.ndarray:
        """Write what is waiting, and return all rows.

        Returns:
            uint8, shape (n_rows, n_bytes).

        Raises:
            RecordError: if the disk does not take the rows that were waiting.
        """
        self.flush()
        rows: np.ndarray = self._array[: self._n_written + len(self._pending)]
        return rows

    def flush(self) -> None:
        """Write what is waiting; an incomplete chunk is written again when it has grown.

        Raises:
            RecordError: if the disk does not take it.
        """
        if self._array.shape[0] < self._n_written + len(self._pending):
            self._write(self._pending)

    def delete(self) -> None:
        """Remove the array from the disk."""
        self._at_end.detach()
        shutil.rmtree(self._path)

    def __getstate__(self) -> NoReturn:
        raise RecordError(
            f"cannot copy a capture that keeps its states in {self._path}: two copies would write "
            "to one place"
        )

    def _finish(self) -> None:
        is_fork = os.getpid() != self._process
        if is_fork or not self._path.exists():
            return
        try:
            self.flush()
        except RecordError as error:  # there is nobody left to raise it to
            logger.warning("%s", error)

    def _write(self, rows: np.ndarray) -> None:
        end = self._n_written + len(rows)
        try:
            self._array.resize((end, rows.shape[1]))
            self._array[self._n_written : end] = rows
        except OSError as error:
            with contextlib.suppress(OSError):
                self._array.resize((self._n_written, rows.shape[1]))
            raise RecordError(
                f"cannot write states to {self._path}: {error.strerror or error}; "
                f"{self._n_written} states are on disk"
            ) from error


def _before_threads_end(function: Callable[[], Any]) -> None:
    """Call a function when the process ends and can still use threads, which zarr needs.

    The functions of `atexit` come after that. Python offers no public way; its own executors, which
    zarr uses, end by this one.
    """
    threading._register_atexit(function)  # type: ignore[attr-defined]


def _create_array(path: Path, n_bytes: int, chunk_rows: int) -> Any:
    try:
        import zarr
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "keeping raw states on disk needs zarr: pip install zarr, or leave out the storage path"
        ) from error
    if path.exists():
        raise RecordError(f"{path} already exists: remove it or choose another storage path")
    try:
        return zarr.create_array(
            path, shape=(0, n_bytes), chunks=(chunk_rows, n_bytes), dtype="uint8"
        )
    except OSError as error:
        raise RecordError(f"cannot create {path} for states: {error.strerror or error}") from error
