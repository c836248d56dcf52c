"""Digits: 1797 images of handwritten digits, 8x8 pixels, which scikit-learn brings along.

Alpaydin and Kaynak, "Optical recognition of handwritten digits", UCI Machine Learning Repository,
1998.
"""

import numpy as np
from sklearn.datasets import load_digits

from deep_bottleneck.datasets.splitting import train_test_split
from deep_bottleneck.interfaces import Dataset

REFERENCES = ("alpaydin1998",)

N_CLASSES = 10
BRIGHTEST = 16


def load() -> Dataset:
    """The images from -1 (black) to 1, of shape (n, 8, 8, 1), split 80/20."""
    found = load_digits()
    scaled = found.images[..., np.newaxis] * (2 / BRIGHTEST) - 1
    return train_test_split(scaled, found.target, N_CLASSES)
