"""MNIST: 70,000 images of handwritten digits.

LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition", 1998.
"""

import os
import zipfile
from pathlib import Path

import keras
import numpy as np

from deep_bottleneck.errors import DataError
from deep_bottleneck.interfaces import Dataset, LabelledDataset

FOLDER_VARIABLE = "DEEP_BOTTLENECK_DATA"
FILE_NAME = "mnist.npz"
N_CLASSES = 10
IMAGE_SHAPE = (28, 28)
_WHITE = 255
_NOT_MNIST = (EOFError, LookupError, OSError, TypeError, ValueError, zipfile.BadZipFile)


def load() -> Dataset:
    """The images from -1 (black) to 1, of shape (n, 28, 28, 1), in MNIST's own split.

    They are read from `mnist.npz`, as Keras distributes it, in the folder that the environment
    variable `DEEP_BOTTLENECK_DATA` names; where there is none, Keras downloads it.

    Raises:
        DataError: if there is no file and no network, or the file is not MNIST.
    """
    folder = os.environ.get(FOLDER_VARIABLE)
    path = Path(folder) / FILE_NAME if folder else None
    return _from_file(path) if path is not None and path.exists() else _downloaded(path)


def _from_file(path: Path) -> Dataset:
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            train = _part(arrays["x_train"], arrays["y_train"])
            test = _part(arrays["x_test"], arrays["y_test"])
    except _NOT_MNIST as error:
        raise DataError(
            f"{path} is not MNIST in Keras' format, with x_train and x_test of shape (n, 28, 28) "
            f"and y_train and y_test of digits: {error}"
        ) from error
    return Dataset(train, test, N_CLASSES)


def _downloaded(absent: Path | None) -> Dataset:
    try:
        train, test = keras.datasets.mnist.load_data()
    except Exception as error:
        looked_in = (
            f"there is no {absent}" if absent else f"{FOLDER_VARIABLE} names no folder to look in"
        )
        raise DataError(
            f"MNIST cannot be downloaded, and {looked_in}: put {FILE_NAME}, as Keras distributes "
            f"it, into a folder and name that in {FOLDER_VARIABLE} ({error})"
        ) from error
    return Dataset(_part(*train), _part(*test), N_CLASSES)


def _part(images: np.ndarray, digits: np.ndarray) -> LabelledDataset:
    if images.shape != (len(digits), *IMAGE_SHAPE):
        raise ValueError(f"{images.shape} images and {digits.shape} labels do not go together")
    scaled = images.astype(np.float32)[..., np.newaxis] * (2 / _WHITE) - 1
    return LabelledDataset.from_labels(scaled, digits, N_CLASSES)
