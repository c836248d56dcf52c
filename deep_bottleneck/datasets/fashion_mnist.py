"""Fashion-MNIST: 70,000 images of ten kinds of clothing.

Xiao, Rasul and Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning
algorithms", 2017, arXiv:1708.07747.
"""

import keras

from deep_bottleneck.datasets.images import ImageSource
from deep_bottleneck.interfaces import Dataset

REFERENCES = ("xiao2017",)


def load() -> Dataset:
    """The images from -1 (black) to 1, of shape (n, 28, 28, 1), in their own split.

    They are read from `fashion_mnist.npz`, with the arrays of Keras' `mnist.npz`, in the folder
    that the environment variable `DEEP_BOTTLENECK_DATA` names; where there is none, Keras downloads
    them.

    Raises:
        DataError: if there is no file and no network, or the file is not Fashion-MNIST.
    """
    download = keras.datasets.fashion_mnist.load_data
    return ImageSource(
        "Fashion-MNIST", "fashion_mnist.npz", (28, 28), "classes from 0 to 9", 10, download
    ).dataset()
