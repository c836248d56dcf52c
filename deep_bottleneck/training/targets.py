"""What a model is to learn of a class: one number for each class, the class itself, or 0 and 1."""

from typing import Any

import keras
import numpy as np

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import FloatArray, IntArray, LabelledDataset

_OF_TWO_CLASSES = ("binary", "hinge", "squared_hinge", "squaredhinge")


def targets(model: keras.Model, part: LabelledDataset) -> FloatArray | IntArray:
    """The labels of examples in the form that a model's compiled loss takes.

    Args:
        model: a compiled model.
        part: the examples.

    Returns:
        Labels of shape (n_examples,) for a sparse loss; 0 and 1 of shape (n_examples, 1) for two
        classes and a model with one output unit; else the one-hot labels.

    Raises:
        ConfigError: if a model has one output unit for more than two classes, or a loss that is
            none of two classes.
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
    if not _is_of_two_classes(model.loss):
        raise ConfigError(
            f'"model": {model.name} has one output unit and the loss {_name(model.loss)}, which '
            "does not tell two classes apart; binary_crossentropy does"
        )
    return part.labels[:, None].astype(np.float32)


def _is_of_two_classes(loss: Any) -> bool:
    """Whether a loss is one of two classes, as far as that is known: a loss of one's own may be."""
    known = keras.losses.get(loss)
    module = getattr(known, "__module__", type(known).__module__)
    return not module.startswith("keras.") or _name(known).lower().startswith(_OF_TWO_CLASSES)


def _is_sparse(loss: Any) -> bool:
    return _name(loss).lower().startswith("sparse")


def _name(loss: Any) -> str:
    return loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
