"""Values that `torch.load` reads without running code, and back."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch

_TABLE = "table"
_ARRAY = "array"
_SET = "set"


def as_plain(value: Any) -> Any:
    """Tables, arrays and sets as what they consist of; containers with what is in them."""
    if isinstance(value, pd.DataFrame):
        return {_TABLE: {name: value[name].tolist() for name in value}}
    if isinstance(value, np.ndarray):
        return {_ARRAY: torch.from_numpy(value.copy())}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, set):
        return {_SET: [as_plain(one) for one in value]}
    if isinstance(value, Mapping):
        return {key: as_plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(as_plain(one) for one in value)
    return value


def from_plain(value: Any) -> Any:
    """What `as_plain` was given."""
    if isinstance(value, Mapping):
        if value.keys() == {_TABLE}:
            return pd.DataFrame(value[_TABLE])
        if value.keys() == {_ARRAY}:
            return value[_ARRAY].numpy()
        if value.keys() == {_SET}:
            return {from_plain(one) for one in value[_SET]}
        return {key: from_plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(from_plain(one) for one in value)
    return value
