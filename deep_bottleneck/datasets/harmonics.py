"""The harmonics: 4096 binary patterns on the sphere with a rotationally symmetric label.

The data of Shwartz-Ziv & Tishby (2017), in closed form. The 12 inputs are the vertices of a regular
icosahedron; an example switches some of them on. With k the number of active vertices and v the
vector sum of their unit vectors, the label is 1 where k + |v| exceeds a threshold: the sum of the
norms of the spherical-harmonic components of degree 0 and 1.
"""

import numpy as np

from deep_bottleneck.datasets.splitting import train_test_split
from deep_bottleneck.interfaces import Dataset, FloatArray, IntArray

REFERENCES = ("shwartz-ziv2017",)

N_INPUTS = 12
# No pattern lies between 7.5628 and 7.7013, so rounding decides no label.
THRESHOLD = 7.632


def load() -> Dataset:
    """The 4096 patterns, split 80/20: inputs 0 or 1 of shape (n, 12), labels 0 or 1."""
    return train_test_split(patterns(), labels(), n_classes=2)


def patterns() -> FloatArray:
    """All activity patterns in binary counting order, the first vertex the most significant bit.

    Returns:
        float32, shape (4096, 12), each 0 or 1.
    """
    numbers = np.arange(2**N_INPUTS)[:, None]
    return (numbers >> np.arange(N_INPUTS)[::-1] & 1).astype(np.float32)


def labels() -> IntArray:
    """The label of each pattern: int64, shape (4096,), 0 or 1."""
    active = patterns().astype(np.float64)
    degree_0 = active.sum(axis=1)
    degree_1 = np.linalg.norm(active @ vertices(), axis=1)
    return (degree_0 + degree_1 > THRESHOLD).astype(np.int64)


def vertices() -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Unit vectors to the vertices of the icosahedron: float64, shape (12, 3)."""
    p = (1 + np.sqrt(5)) / 2
    corners = np.array(
        [
            (0, 1, p),
            (1, p, 0),
            (0, 1, -p),
            (-1, p, 0),
            (p, 0, -1),
            (0, -1, p),
            (1, -p, 0),
            (-1, -p, 0),
            (-p, 0, -1),
            (0, -1, -p),
            (-p, 0, 1),
            (p, 0, 1),
        ]
    )
    return corners / np.hypot(1, p)
