"""MNIST: 70,000 images of handwritten digits.

LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition", 1998.
"""

import os
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from deep_bottleneck.errors import DataError
from deep_bottleneck.interfaces import Dataset, LabelledDataset

FOLDER_VARIABLE = "DEEP_BOTTLENECK_DATA"
FILE_NAME = "mnist.npz"
N_CLASSES = 10
IMAGE_SHAPE = (28, 28)
WHITE = 255
_NOT_MNIST = (EOFError, LookupError, OSError, TypeError, ValueError, zipfile.BadZipFile)


class Images(NamedTuple):
    """Images as they are stored.

    Attributes:
        pixels: shape (n, 28, 28), from 0 (black) to 255.
        digits: shape (n,), from 0 to 9.
    """

    pixels: np.ndarray[Any, Any]
    digits: np.ndarray[Any, Any]


def load() -> Dataset:
    """The images from -1 (black) to 1, of shape (n, 28, 28, 1), in MNIST's own split.

    They are read from `mnist.npz`, as Keras distributes it, in the folder that the environment
    variable `DEEP_BOTTLENECK_DATA` names; where there is none, Keras downloads it.

    Raises:
        DataError: if there is no file and no network, or the file is not MNIST.
    """
    train, test = read()
    return Dataset(_scaled(train), _scaled(test), N_CLASSES)


def read() -> tuple[Images, Images]:
    """The images for training and for testing, from where `load` has them.

    Raises:
        DataError: if there is no file and no network, or the file is not MNIST.
    """
    folder = os.environ.get(FOLDER_VARIABLE)
    path = Path(folder) / FILE_NAME if folder else None
    return _from_file(path) if path is not None and path.exists() else _downloaded(path)


def _from_file(path: Path) -> tuple[Images, Images]:
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            train = _checked(arrays["x_train"], arrays["y_train"])
            test = _checked(arrays["x_test"], arrays["y_test"])
    except _NOT_MNIST as error:
        raise DataError(
            f"{path} is not MNIST in Keras' format, with x_train and x_test of shape (n, 28, 28) "
            f"and y_train and y_test of digits: {error}"
        ) from error
    return train, test


def _downloaded(absent: Path | None) -> tuple[Images, Images]:
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
    return _checked(*train), _checked(*test)


def _checked(pixels: np.ndarray[Any, Any], digits: np.ndarray[Any, Any]) -> Images:
    if pixels.shape != (len(digits), *IMAGE_SHAPE):
        raise ValueError(f"{pixels.shape} images and {digits.shape} labels do not go together")
    strange = digits[~np.isin(digits, range(N_CLASSES))]
    if len(strange):
        raise ValueError(f"a label is {strange[0]}")
    return Images(pixels, digits)


def _scaled(images: Images) -> LabelledDataset:
    scaled = images.pixels.astype(np.float32)[..., np.newaxis] * (2 / WHITE) - 1
    return LabelledDataset.from_labels(scaled, images.digits, N_CLASSES)
