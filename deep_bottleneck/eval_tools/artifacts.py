"""Artifacts of stored experiments by their type; nothing is read before it is asked for."""

import base64
import html
import io
import re
import shutil
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.image import imread

from deep_bottleneck.errors import RecordError
from deep_bottleneck.measuring.tables import TEXTS, is_information, read_table
from deep_bottleneck.storage.base import ExperimentId, StoredFile


class Artifact:
    """A stored file.

    Attributes:
        name: the name it was stored under.
        experiment_id: the experiment it is of, None where a file is shown by itself.
    """

    def __init__(self, file: StoredFile, experiment_id: ExperimentId | None = None) -> None:
        self._file = file
        self.name = file.name
        self.experiment_id = experiment_id

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.file_name!r}, {self._file.size} bytes)"

    @property
    def file_name(self) -> str:
        """The name with the suffix of its type."""
        name, suffix = self.name, self._file.suffix
        return name if name.endswith(suffix) else name + suffix

    @property
    def extension(self) -> str:
        """The suffix of its type without the dot, such as "png"."""
        return self._file.suffix.removeprefix(".")

    def read(self) -> bytes:
        """All bytes."""
        with self._file.open() as file:
            return file.read()

    @property
    def content(self) -> Any:
        """What the file holds, in the form that its type is worked with: here, bytes."""
        return self.read()

    def show(self) -> Any:
        """What a notebook displays: this artifact itself, or a table of what is in it."""
        return self

    def save(self, path: str | Path = ".") -> Path:
        """Write a copy, piece by piece.

        Args:
            path: a file to write, or a folder that is there and gets a file that is named after the
                experiment's id and the artifact, such as "3_infoplane_test.png".

        Returns:
            The file that was written.

        Raises:
            RecordError: if it cannot be written.
        """
        target = Path(path)
        if target.is_dir():
            # both were chosen by who stored them, and may look like a path
            of = "" if self.experiment_id is None else f"{self.experiment_id}_"
            target /= re.sub(r"[/\\\0]", "-", of + self.file_name)
        try:
            with self._file.open() as source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy)
        except OSError as error:
            raise RecordError(f"{self.name} cannot be saved: {error}") from None
        return target


class PNGArtifact(Artifact):
    """A picture; `content` is its bytes."""

    @property
    def img(self) -> np.ndarray[Any, Any]:
        """Its pixels, numbers from 0 to 1, shape (height, width, channels)."""
        return imread(io.BytesIO(self.read()))

    def show(self, figsize: tuple[float, float] | None = None) -> "PNGArtifact | Figure":
        """What a notebook displays.

        Args:
            figsize: width and height in inches of a figure with the picture; None for the picture
                as it is.
        """
        if figsize is None:
            return self
        figure = Figure(figsize=figsize)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.imshow(self.img)
        axes.set_axis_off()
        return figure

    def _repr_png_(self) -> bytes:
        return self.read()


class CSVArtifact(Artifact):
    """A table; `content` is a DataFrame."""

    @property
    def content(self) -> pd.DataFrame:
        """The table."""
        return read_table(self.read(), self.name)

    def show(self) -> pd.DataFrame:
        """The table; one of mutual information has in its columns what means can be taken of.

        What is text there, such as the estimator, is in its index.
        """
        table = self.content
        if not is_information(self.name):
            return table
        return table.set_index([name for name in TEXTS if name in table], append=True)


class MP4Artifact(Artifact):
    """A movie; `content` is its bytes."""

    def _repr_html_(self) -> str:
        data = base64.b64encode(self.read()).decode("ascii")
        return f'<video controls src="data:video/mp4;base64,{data}"></video>'


class HTMLArtifact(Artifact):
    """A page; `content` is its text."""

    @property
    def content(self) -> str:
        """The page."""
        return self.read().decode("utf-8")

    def _repr_html_(self) -> str:
        # by itself: its scripts reach neither the notebook nor the kernel
        return (
            '<iframe sandbox="allow-scripts" width="100%" height="820" '
            f'srcdoc="{html.escape(self.content)}"></iframe>'
        )


class _OpenedHDF5(h5py.File):
    """A h5py.File that closes the stream it reads from as well."""

    def __init__(self, stream: BinaryIO) -> None:
        try:
            super().__init__(stream, "r")
        except OSError:
            stream.close()
            raise
        self._stream = stream

    def close(self) -> None:
        super().close()
        self._stream.close()


class HDF5Artifact(Artifact):
    """An HDF5 file; `content` is a h5py.File, of which only what is asked for is read."""

    @property
    def content(self) -> h5py.File:
        """The file, open for reading; close it, or use it in a `with`.

        Raises:
            RecordError: if it is no HDF5 file, or is damaged.
        """
        try:
            return _OpenedHDF5(self._file.open())
        except OSError as error:
            raise RecordError(f"{self.name} cannot be read: {error}") from None

    def show(self) -> pd.DataFrame:
        """The data sets in the file with their shapes and types."""
        rows: list[tuple[str, str, str]] = []

        def note(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                rows.append((name, str(item.shape), str(item.dtype)))

        with self.content as file:
            file.visititems(note)
        return pd.DataFrame(rows, columns=["name", "shape", "dtype"])


_TYPES: dict[str, type[Artifact]] = {
    ".png": PNGArtifact,
    ".csv": CSVArtifact,
    ".mp4": MP4Artifact,
    ".html": HTMLArtifact,
    ".h5": HDF5Artifact,
    ".hdf5": HDF5Artifact,
}


def artifact(file: StoredFile, experiment_id: ExperimentId | None = None) -> Artifact:
    """The artifact that a stored file is, by its suffix."""
    return _TYPES.get(file.suffix.lower(), Artifact)(file, experiment_id)
