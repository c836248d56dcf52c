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
    return torch.as_tensor(np.asarray(array))
