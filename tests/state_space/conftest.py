"""A sample of MNIST, and small random activations."""

import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def mnist_sample() -> tuple[np.ndarray, np.ndarray]:
    """200 images, float32 of shape (200, 28, 28) from 0 to 1, and their labels."""
    folder = Path(os.environ.get("DEEP_BOTTLENECK_DATA", ROOT.parent / "shared" / "data"))
    path = folder / "mnist.npz"
    if not path.exists():
        pytest.skip(f"{path} is absent; name its folder in DEEP_BOTTLENECK_DATA")
    with np.load(path) as archive:
        return archive["x_test"][:200].astype(np.float32) / 255, archive["y_test"][:200]
