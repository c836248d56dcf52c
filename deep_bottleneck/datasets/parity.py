"""Parity: is the number of ones odd? No input alone says anything about the label."""

import numpy as np

from deep_bottleneck.datasets.splitting import train_test_split
from deep_bottleneck.interfaces import Dataset


def load(n_bits: int = 10) -> Dataset:
    """All patterns of `n_bits` inputs of -1 or 1, label 1 where an odd number is 1; split 80/20.

    Args:
        n_bits: how many inputs, from 3 on.

    Raises:
        ValueError: if there are fewer.
    """
    if n_bits < 3:
        raise ValueError(f"n_bits is {n_bits} but a split needs the patterns of 3 or more")
    bits = np.arange(2**n_bits)[:, None] >> np.arange(n_bits) & 1
    return train_test_split(2 * bits - 1, bits.sum(axis=1) % 2, n_classes=2)
