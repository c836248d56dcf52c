"""Which kinds of modules can be measured, and what is known of each."""

import sys
from typing import Any

from torch import nn

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
AVERAGE_POOLING = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
MAX_POOLING = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
_ADAPTIVE_AVERAGE = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)
_ADAPTIVE_MAX = (nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
CELLS = (nn.RNNCell, nn.LSTMCell, nn.GRUCell)
# these know no batch, and treat each example, or group of channels, by itself
_OF_ONE_EXAMPLE = (
    nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d,
)  # fmt: skip
NORMALISATION = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
# one weight for each unit, and no connection between two
SCALING = (*NORMALISATION, *_OF_ONE_EXAMPLE, nn.SyncBatchNorm)
DROPOUT = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)

AFFINE = (
    nn.Linear, *CONVOLUTIONS, *TRANSPOSED, *AVERAGE_POOLING, *_ADAPTIVE_AVERAGE, *NORMALISATION,
    *DROPOUT, nn.Flatten, nn.Unflatten,
)  # fmt: skip
SLIDING = (*CONVOLUTIONS, *AVERAGE_POOLING, *MAX_POOLING)
# measured by themselves, with all of their inputs as one
ALONE = (nn.Embedding, nn.Bilinear, *CELLS)
SUPPORTED = (*AFFINE, *MAX_POOLING, *_ADAPTIVE_MAX, *_OF_ONE_EXAMPLE, *ALONE)
RANGE_PRESERVING = (
    *AVERAGE_POOLING, *MAX_POOLING, *_ADAPTIVE_AVERAGE, *_ADAPTIVE_MAX, *DROPOUT,
    nn.Flatten, nn.Unflatten,
)  # fmt: skip


def per_axis(setting: Any, n_axes: int) -> tuple[int, ...]:
    """A setting such as a kernel's size, which may be one number for all axes, for each axis."""
    return tuple(setting) if isinstance(setting, tuple | list) else (setting,) * n_axes


def is_keras(layer: Any) -> bool:
    """Whether this is a Keras layer or model; does not import Keras."""
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(layer, keras.Layer)


def is_embedding(layer: Any) -> bool:
    """Whether what a layer takes are indices."""
    if is_keras(layer):
        return isinstance(layer, sys.modules["keras"].layers.Embedding)
    return isinstance(layer, nn.Embedding)
