"""CIFAR-10: 60,000 small colour photographs of ten kinds of things.

Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
"""

import keras

from deep_bottleneck.datasets.images import ImageSource
from deep_bottleneck.interfaces import Dataset

REFERENCES = ("krizhevsky2009",)


def load() -> Dataset:
    """The photographs from -1 (black) to 1, of shape (n, 32, 32, 3), in their own split.

    They are read from `cifar10.npz`, with x_train, y_train, x_test and y_test, in the folder that
    the environment variable `DEEP_BOTTLENECK_DATA` names; where there is none, Keras downloads
    them.

    Raises:
        DataError: if there is no file and no network, or the file is not CIFAR-10.
    """
    download = keras.datasets.cifar10.load_data
    return ImageSource(
        "CIFAR-10", "cifar10.npz", (32, 32, 3), "classes from 0 to 9", 10, download
    ).dataset()
