"""Arrays of any origin as tensors, and the one conversion from nats to bits."""

import math
from typing import Any

import numpy as np
import torch

Array = np.ndarray[Any, Any] | torch.Tensor

BITS_PER_NAT = 1.0 / math.log(2.0)


def as_tensor(array: Array) -> torch.Tensor:
    """The array as a detached tensor on the device it lies on, without a copy where possible."""
    if isinstance(array, torch.Tensor):
        return array.detach()
    values = np.asarray(array)
    # torch knows no array that is read backwards
    return torch.as_tensor(values.copy() if min(values.strides, default=0) < 0 else values)


def as_labels(labels: Array, n_examples: int) -> torch.Tensor:
    """Class labels as an int64 tensor.

    Args:
        labels: integers from 0, shape (n_examples,).
        n_examples: how many there must be.

    Returns:
        int64, shape (n_examples,).

    Raises:
        ValueError: if they are not one integer from 0 for each example.
    """
    classes = as_tensor(labels)
    if classes.shape != (n_examples,):
        raise ValueError(
            f"expected one label for each of {n_examples} examples, got labels of shape "
            f"{tuple(classes.shape)}"
        )
    if classes.numel() and (classes.is_floating_point() or classes.is_complex()):
        raise ValueError(f"expected integers as labels, got {classes.dtype}")
    classes = classes.to(torch.int64)
    if classes.numel() and int(classes.min()) < 0:
        raise ValueError(f"expected labels from 0, got {int(classes.min())}")
    return classes
