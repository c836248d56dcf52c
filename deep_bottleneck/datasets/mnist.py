"""MNIST: 70,000 images of handwritten digits.

LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition", 1998.
"""

import keras

from deep_bottleneck.datasets.images import Images, ImageSource
from deep_bottleneck.interfaces import Dataset

REFERENCES = ("lecun1998",)


def load() -> Dataset:
    """The images from -1 (black) to 1, of shape (n, 28, 28, 1), in MNIST's own split.

    They are read from `mnist.npz`, as Keras distributes it, in the folder that the environment
    variable `DEEP_BOTTLENECK_DATA` names; where there is none, Keras downloads it.

    Raises:
        DataError: if there is no file and no network, or the file is not MNIST.
    """
    return _source().dataset()


def read() -> tuple[Images, Images]:
    """The images for training and for testing, from where `load` has them.

    Raises:
        DataError: if there is no file and no network, or the file is not MNIST.
    """
    return _source().read()


def _source() -> ImageSource:
    return ImageSource("MNIST", "mnist.npz", (28, 28), "digits", 10, keras.datasets.mnist.load_data)
