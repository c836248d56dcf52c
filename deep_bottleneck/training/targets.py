"""What a model is to learn of a class: one number for each class, the class itself, or 0 and 1."""

from typing import Any

import keras
import numpy as np

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import FloatArray, IntArray, LabelledDataset


def targets(model: keras.Model, part: LabelledDataset) -> FloatArray | IntArray:
    """The labels of examples in the form that a model's compiled loss takes.

    Args:
        model: a compiled model.
        part: the examples.

    Returns:
        Labels of shape (n_examples,) for a sparse loss; 0 and 1 of shape (n_examples, 1) for two
        classes and a model with one output unit; else the one-hot labels.

    Raises:
        ConfigError: if a model has one output unit for more than two classes.
    """
    if _is_sparse(model.loss):
        return part.labels
    shape = getattr(model, "output_shape", None)
    if not isinstance(shape, tuple) or shape[-1] != 1:
        return part.one_hot_labels
    n_classes = part.one_hot_labels.shape[1]
    if n_classes != 2:
        raise ConfigError(
            f'"model": {model.name} has one output unit, which can tell two classes apart, but the '
            f"data set has {n_classes}"
        )
    return part.labels[:, None].astype(np.float32)


def _is_sparse(loss: Any) -> bool:
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    return name.lower().startswith("sparse")
