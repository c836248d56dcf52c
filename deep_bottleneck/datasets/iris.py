"""Iris: four measurements of 150 flowers of three species.

Fisher, "The use of multiple measurements in taxonomic problems", 1936.
"""

import numpy as np
from sklearn.datasets import load_iris

from deep_bottleneck.datasets.splitting import train_test_split
from deep_bottleneck.interfaces import Dataset

REFERENCES = ("fisher1936",)

N_CLASSES = 3


def load() -> Dataset:
    """The flowers, split 80/20: inputs of shape (n, 4), each measurement scaled to 0 to 1."""
    measurements, species = load_iris(return_X_y=True)
    lowest = measurements.min(axis=0)
    scaled = (measurements - lowest) / np.ptp(measurements, axis=0)
    return train_test_split(scaled, species, N_CLASSES)
