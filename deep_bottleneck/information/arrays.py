"""Arrays of any origin as tensors, and the one conversion from nats to bits."""

import math
from typing import Any

import numpy as np
import torch

Array = np.ndarray[Any, Any] | torch.Tensor

BITS_PER_NAT = 1.0 / math.log(2.0)


def as_tensor(array: Array) -> torch.Tensor:
    """The array as a detached tensor on the device it lies on, without a copy where possible.

    Raises:
        ValueError: if it holds something that PyTorch has no type for, such as text.
    """
    if isinstance(array, torch.Tensor):
        return array.detach()
    values = np.asarray(array)
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    # torch knows no array that is read backwards, and none that must not be written
    if min(values.strides, default=0) < 0 or not values.flags.writeable:
        values = values.copy()
    try:
        return torch.as_tensor(values)
    except TypeError:
        raise ValueError(
            f"expected numbers that PyTorch has a type for, got an array of {values.dtype}"
        ) from None


def as_floats(array: Array) -> torch.Tensor:
    """The array as a tensor of a type that arithmetic keeps different numbers apart in.

    Returns:
        float32 and float64 as they are, half precision as float32, and whole numbers as float64.

    Raises:
        ValueError: if it holds no real numbers.
    """
    values = as_tensor(array)
    if values.is_complex():
        raise ValueError(f"expected real numbers, got an array of {values.dtype}")
    if values.dtype in (torch.float32, torch.float64):
        return values
    return values.to(torch.float32 if values.is_floating_point() else torch.float64)


def as_layer(activations: Array) -> torch.Tensor:
    """The activations of a layer as `as_floats` gives them.

    Raises:
        ValueError: if they are no real numbers of shape (runs, n_examples, n_units), with at least
            one run and one example.
    """
    values = as_floats(activations)
    if values.ndim != 3 or 0 in values.shape[:2]:
        raise ValueError(
            "expected activations of shape (runs, n_examples, n_units) with at least one run and "
            f"example, got {tuple(values.shape)}"
        )
    return values


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
