"""Data sets of labelled images that Keras distributes: from a local file, or downloaded."""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from deep_bottleneck.datasets.files import local_file, unavailable
from deep_bottleneck.errors import DataError
from deep_bottleneck.interfaces import Dataset, LabelledDataset

WHITE = 255
_NOT_IMAGES = (EOFError, LookupError, OSError, TypeError, ValueError, zipfile.BadZipFile)
_Arrays = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


class Images(NamedTuple):
    """Images as they are stored.

    Attributes:
        pixels: shape (n, height, width) or (n, height, width, 3), from 0 (black) to 255.
        labels: shape (n,), from 0 on.
    """

    pixels: np.ndarray[Any, Any]
    labels: np.ndarray[Any, Any]


@dataclass(frozen=True)
class ImageSource:
    """Where a data set of images comes from, and what it has to look like.

    Attributes:
        title: its name.
        file_name: of an `.npz` file with x_train, y_train, x_test and y_test.
        image_shape: (height, width) of gray images, (height, width, 3) of coloured ones.
        labelled_with: what the labels stand for, such as "digits".
        n_classes: the number of classes.
        download: Keras' function for it.
    """

    title: str
    file_name: str
    image_shape: tuple[int, ...]
    labelled_with: str
    n_classes: int
    download: Callable[[], tuple[_Arrays, _Arrays]]

    def dataset(self) -> Dataset:
        """The images from -1 (black) to 1, of shape (n, height, width, channels), in their split.

        Raises:
            DataError: as for `read`.
        """
        train, test = self.read()
        return Dataset(self._scaled(train), self._scaled(test), self.n_classes)

    def read(self) -> tuple[Images, Images]:
        """The images for training and for testing.

        They are read from the file in the folder that the environment variable
        `DEEP_BOTTLENECK_DATA` names; where there is none, Keras downloads them and checks what it
        got.

        Raises:
            DataError: if there is no file and no network, or the file is not this data set.
        """
        path = local_file(self.file_name)
        if path is not None and path.exists():
            return self._from_file(path)
        try:
            train, test = self.download()
        except Exception as error:
            wanted = f"{self.file_name} with the arrays x_train, y_train, x_test and y_test"
            raise DataError(unavailable(self.title, path, wanted, error)) from error
        return self._checked(*train), self._checked(*test)

    def _from_file(self, path: Path) -> tuple[Images, Images]:
        try:
            with path.open("rb") as file, np.load(file) as arrays:
                train = self._checked(arrays["x_train"], arrays["y_train"])
                test = self._checked(arrays["x_test"], arrays["y_test"])
        except _NOT_IMAGES as error:
            shape = ", ".join(str(length) for length in ("n", *self.image_shape))
            raise DataError(
                f"{path} is not {self.title} in Keras' format, with x_train and x_test of shape "
                f"({shape}) and y_train and y_test of {self.labelled_with}: {error}"
            ) from error
        return train, test

    def _checked(self, pixels: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> Images:
        # Keras gives the labels of some data sets as a column
        labels = labels.reshape(-1) if labels.ndim == 2 and labels.shape[1] == 1 else labels
        if pixels.shape != (len(labels), *self.image_shape):
            raise ValueError(f"{pixels.shape} images and {labels.shape} labels do not go together")
        strange = labels[~np.isin(labels, range(self.n_classes))]
        if len(strange):
            raise ValueError(f"a label is {strange[0]}")
        return Images(pixels, labels)

    def _scaled(self, images: Images) -> LabelledDataset:
        scaled = images.pixels.astype(np.float32) * (2 / WHITE) - 1
        if scaled.ndim == 3:
            scaled = scaled[..., np.newaxis]
        return LabelledDataset.from_labels(scaled, images.labels, self.n_classes)
