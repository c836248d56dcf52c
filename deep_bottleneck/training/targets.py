"""What a model is to learn of a class: one number for each class, the class itself, or 0 and 1.

Keras broadcasts labels to outputs of another shape, and takes a class that has no output for none
at all, and so would train on nonsense: what does not go together is refused. A loss or metric of
the user's own, and a model with its own rule of training, may know what they do.
"""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import FloatArray, IntArray, LabelledDataset

_OF_TWO_CLASSES = ("binary", "hinge", "squared_hinge", "squaredhinge")
# what Keras makes of these depends on the labels
_OF_ANY_LABELS = ("accuracy", "acc", "crossentropy", "ce")
_OF_SEVERAL_UNITS = ("categorical", "sparse", "top_k", "topk")

logger = logging.getLogger(__name__)


def targets(model: keras.Model, part: LabelledDataset) -> FloatArray | IntArray:
    """The labels of examples in the form that a model's compiled loss takes.

    Args:
        model: a compiled model.
        part: the examples.

    Returns:
        Labels of shape (n_examples,) for a sparse loss; 0 and 1 of shape (n_examples, 1) for two
        classes and a model with one output unit; else the one-hot labels.

    Raises:
        ConfigError: if the model has several inputs or outputs, or one that does not go with the
            examples, or whose shape, loss or metrics do not go with the labels.
    """
    _check_inputs(model, part.examples.shape[1:])
    loss = _of_one_output(model.loss)
    shapes = [tuple(output.shape[1:]) for output in getattr(model, "outputs", ())]
    is_sparse = _name(loss).startswith("sparse")
    is_one_unit = shapes == [(1,)] and not is_sparse
    if not _has_its_own_rule(model):
        _check_outputs(model, loss, shapes, part.one_hot_labels.shape[1], is_sparse)
        _check_metrics(model, is_sparse, is_one_unit)
    if is_sparse:
        return part.labels
    return part.labels[:, None].astype(np.float32) if is_one_unit else part.one_hot_labels


def tell_of_odd_rules(model: keras.Model) -> None:
    """Log what of a model's rules is easily taken for something else."""
    if model.loss is None and not _has_its_own_rule(model):
        logger.warning(
            "%s is compiled without a loss: it learns nothing but what its layers add.", model.name
        )
    if type(model).predict_step is not keras.Model.predict_step:
        logger.warning(
            "%s has a predict_step of its own, which is not asked: measured is what its layers "
            "give when it is called on the examples as they are.",
            model.name,
        )


def _has_its_own_rule(model: keras.Model) -> bool:
    own, known = type(model), keras.Model
    return own.train_step is not known.train_step or own.compute_loss is not known.compute_loss


def _check_inputs(model: keras.Model, shape: tuple[int, ...]) -> None:
    inputs = getattr(model, "inputs", None) or []
    if len(inputs) > 1:
        raise ConfigError(
            f'"model": {model.name} has {len(inputs)} inputs, but the data set one array of '
            "examples: let the model take that as its only input, and part it itself"
        )
    if inputs and not _goes_into(shape, tuple(inputs[0].shape[1:])):
        raise ConfigError(
            f'"model": {model.name} takes inputs of shape {tuple(inputs[0].shape)}, but the '
            f"examples have the shape {(None, *shape)}"
        )


def _goes_into(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    if len(shape) == len(wanted):
        return all(size in (None, there) for size, there in zip(wanted, shape, strict=True))
    # Keras adds and takes away axes of length 1
    return None in wanted or [s for s in shape if s != 1] == [s for s in wanted if s != 1]


def _check_outputs(
    model: keras.Model,
    loss: Any,
    shapes: list[tuple[int, ...]],
    n_classes: int,
    is_sparse: bool,
) -> None:
    said = f'"model": {model.name} has'
    if len(shapes) > 1:
        raise ConfigError(
            f"{said} {len(shapes)} outputs, but the data set one label for each example: leave the "
            "output that tells the classes"
        )
    if not shapes or not _is_of_keras(loss):
        return
    (shape,) = shapes
    if shape == (1,) and not is_sparse:
        if n_classes != 2:
            raise ConfigError(
                f"{said} one output unit, which can tell two classes apart, but the data set has "
                f"{n_classes}"
            )
        if not _name(loss).startswith(_OF_TWO_CLASSES):
            raise ConfigError(
                f"{said} one output unit and the loss {_name(loss)}, which does not tell two "
                "classes apart; binary_crossentropy does"
            )
    elif len(shape) != 1 or shape[0] < n_classes or (shape[0] > n_classes and not is_sparse):
        raise ConfigError(
            f"{said} an output of shape {(None, *shape)} and the loss {_name(loss)}, which for "
            f"{n_classes} classes takes {(None, n_classes)}"
        )


def _check_metrics(model: keras.Model, is_sparse: bool, is_one_unit: bool) -> None:
    """See that each metric of Keras' takes labels of the form that the loss takes."""
    for name in _metrics(model):
        of_classes = name.startswith("sparse") or name in _OF_ANY_LABELS
        if is_sparse and not of_classes:
            raise ConfigError(
                f'"model": {model.name} has a loss that takes classes as they are, and the metric '
                f"{name}, which does not: a sparse metric does, or a loss that is not sparse"
            )
        if is_one_unit and name.startswith(_OF_SEVERAL_UNITS):
            raise ConfigError(
                f'"model": {model.name} has one output unit, and the metric {name} needs one for '
                "each class; binary_accuracy does not"
            )


def _metrics(model: keras.Model) -> Iterator[str]:
    compiled = getattr(model, "_compile_metrics", None)
    if compiled is not None:
        given = keras.tree.flatten([compiled._user_metrics, compiled._user_weighted_metrics])
        yield from (_name(metric) for metric in given if _is_of_keras(metric))


def _of_one_output(loss: Any) -> Any:
    """A loss without the list or mapping that one of a single output may be in."""
    held = list(loss.values()) if isinstance(loss, Mapping) else loss
    return held[0] if isinstance(held, list | tuple) and len(held) == 1 else loss


def _is_of_keras(chosen: Any) -> bool:
    module = getattr(chosen, "__module__", type(chosen).__module__)
    return isinstance(chosen, str) or module.startswith("keras.")


def _name(chosen: Any) -> str:
    """The name of a loss or metric, in small letters."""
    is_text = isinstance(chosen, str)
    name = chosen if is_text else getattr(chosen, "__name__", type(chosen).__name__)
    return name.lower()
