"""XOR: four clouds around the corners of a square, opposite ones of the same class.

The smallest problem that needs a hidden layer (Minsky & Papert 1969, "Perceptrons").
"""

import numpy as np

from deep_bottleneck.datasets.splitting import SPLIT_SEED, train_test_split
from deep_bottleneck.interfaces import Dataset

REFERENCES = ("minsky1969",)


def load(n_examples: int = 1000, noise: float = 0.2) -> Dataset:
    """Points of shape (n, 2) around (±1, ±1); label 1 where the corner's signs differ; split 80/20.

    Args:
        n_examples: how many points.
        noise: their standard deviation around the corner in each direction.
    """
    generator = np.random.default_rng(SPLIT_SEED)
    corners = generator.choice([-1.0, 1.0], (n_examples, 2))
    points = corners + noise * generator.standard_normal((n_examples, 2))
    return train_test_split(points, corners[:, 0] != corners[:, 1], n_classes=2)
