"""Files of experiments in GridFS: what they are called, which are whose, and how they are read."""

import hashlib
import io
import mimetypes
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO

import gridfs
from bson import ObjectId

from deep_bottleneck.storage.base import ExperimentId
from deep_bottleneck.storage.names import SUFFIXES_OF_THE_ORIGINAL

# in the document of an experiment: the id of the file that has all of a long output
OUTPUT_FILE = "captured_out_file"
LONGEST_BEGINNING = 16
# where what stands in files of a kind
_BEGINNINGS = {
    ".png": (0, b"\x89PNG\r\n\x1a\n"),
    ".mp4": (4, b"ftyp"),
    ".h5": (0, b"\x89HDF\r\n\x1a\n"),
    ".html": (0, b"<!DOCTYPE html>"),
}


def opened(file: gridfs.GridOut, errors: Callable[[], AbstractContextManager[None]]) -> BinaryIO:
    """A file for reading, of which only what is asked for is fetched.

    Args:
        file: the file in GridFS.
        errors: a context that says in one sentence what is wrong with it.
    """
    return io.BufferedReader(_GridReader(file, errors))


def id_of_address(address: str) -> ObjectId:
    """The same for the same address, so that a repeated upload replaces and never doubles."""
    return ObjectId(hashlib.sha256(address.encode()).digest()[:12])


def output_address(experiment_id: ExperimentId) -> str:
    """What an output that is too long for a document is called in GridFS."""
    return f"output://runs/{experiment_id}"


def artifact_address(experiment_id: ExperimentId, name: str) -> str:
    """What Sacred calls the file of an artifact in GridFS."""
    return f"artifact://runs/{experiment_id}/{name}"


def file_ids(run: Mapping[str, Any]) -> set[Any]:
    """The ids in GridFS of an experiment's artifacts, sources and output."""
    sources = (run.get("experiment") or {}).get("sources") or ()
    artifacts = run.get("artifacts") or ()
    output = {run[OUTPUT_FILE]} if run.get(OUTPUT_FILE) else set()
    of_sources = {file_id for _, file_id in sources}
    return {entry["file_id"] for entry in artifacts} | of_sources | output


def suffix_of(name: str, file: Mapping[str, Any], beginning: Callable[[], bytes]) -> str:
    """The kind of a stored file.

    Args:
        name: of the artifact.
        file: what is noted of the file in GridFS.
        beginning: reads its first bytes.

    Returns:
        The suffix as we noted it, or after its content type or name, or else its first bytes; "" if
        none of them tells.
    """
    noted = (file.get("metadata") or {}).get("suffix")
    if noted is not None:
        return str(noted)
    return (
        mimetypes.guess_extension(file.get("contentType") or "")
        or Path(name).suffix
        or SUFFIXES_OF_THE_ORIGINAL.get(re.sub("_(train|test)$", "", name), "")
        or _suffix_after(beginning())
    )


def _suffix_after(beginning: bytes) -> str:
    return next(
        (suffix for suffix, (at, known) in _BEGINNINGS.items() if beginning.startswith(known, at)),
        "",
    )


class _GridReader(io.RawIOBase):
    """A file in GridFS of which only what is asked for is fetched."""

    def __init__(
        self, file: gridfs.GridOut, errors: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._file = file
        self._errors = errors

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with self._errors():
            content = self._file.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with self._errors():
            self._file.seek(offset, whence)
        return self._file.tell()

    def tell(self) -> int:
        return self._file.tell()
