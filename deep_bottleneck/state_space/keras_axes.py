"""Where the neurons are in the symbolic tensors of a Keras model, by the graph that made them."""

from collections.abc import Iterator
from typing import Any

import keras

from deep_bottleneck.state_space.axes import Neurons, axis_carried_on, axis_of_weights
from deep_bottleneck.state_space.capture import AbstractStateCapture

_NEURONS_LAST = (
    keras.layers.Dense,
    keras.layers.Embedding,
    keras.layers.RNN,
    keras.layers.Bidirectional,
    keras.layers.MultiHeadAttention,
    keras.layers.GroupQueryAttention,
    keras.layers.AdditiveAttention,
)
_TURN_AXES = (keras.layers.Permute, keras.layers.Reshape, keras.layers.Lambda)


def axis_of(tensor: Any, known: dict[int, int | None] | None = None) -> int | None:
    """The axis that counts the neurons of a symbolic tensor, counted from the last.

    Args:
        tensor: a `keras.KerasTensor`, of any shape with a batch.
        known: the axes that were found so far, by the identity of the tensor.

    Returns:
        The axis, or None if it cannot be known.
    """
    known = {} if known is None else known
    if len(tensor.shape) <= 2:
        return -1
    if id(tensor) not in known:
        known[id(tensor)] = _axis_by_history(tensor, known)
    return known[id(tensor)]


def axis_at(layer: Any, tensor: Any) -> int | None:
    """The axis that counts the neurons of what goes into a layer or comes out of it."""
    axis = axis_of(tensor)
    if axis is None:
        axis = _axis_of_kind(layer, len(tensor.shape))
    return axis_of_weights(tensor.shape, set(_lengths(layer)), None) if axis is None else axis


def _axis_by_history(tensor: Any, known: dict[int, int | None]) -> int | None:
    history = getattr(tensor, "_keras_history", None)
    if history is None or isinstance(history.operation, keras.layers.InputLayer):
        return None
    operation = history.operation
    if (axis := _axis_of_kind(operation, len(tensor.shape))) is not None:
        return axis
    if isinstance(operation, keras.Function):
        # a model in the model: what comes out of it is made in there
        inner = keras.tree.flatten(operation.outputs)[history.tensor_index]
        if (axis := axis_of(inner, known)) is not None:
            return axis
    inputs = operation._inbound_nodes[history.node_index].input_tensors
    before = [
        Neurons(tuple(each.shape), axis)
        for each in inputs
        if (axis := axis_of(each, known)) is not None and _counts_neurons(each)
    ]
    carried = axis_carried_on(tensor.shape, before, _leaves_axes_in_order(operation))
    return axis_of_weights(tensor.shape, set(_lengths(operation)), carried)


def _axis_of_kind(layer: Any, n_axes: int) -> int | None:
    """The axis of the neurons before and after one of the layers that say it of themselves."""
    if isinstance(layer, keras.layers.TimeDistributed):
        return _axis_of_kind(layer.layer, n_axes - 1)
    data_format = getattr(layer, "data_format", None)
    if data_format is not None:
        return 1 - n_axes if data_format == "channels_first" else -1
    if isinstance(layer, _NEURONS_LAST):
        return -1
    axis = getattr(layer, "axis", None)
    axis = axis[0] if isinstance(axis, list | tuple) and len(axis) == 1 else axis
    if isinstance(axis, int) and next(_lengths(layer), None) is not None:
        return axis if axis < 0 else axis - n_axes
    return None


def _counts_neurons(tensor: Any) -> bool:
    """Whether a layer made it, and not the user's input of two axes."""
    history = getattr(tensor, "_keras_history", None)
    return history is not None and not isinstance(history.operation, keras.layers.InputLayer)


def _leaves_axes_in_order(operation: Any) -> bool:
    """Whether it is one of Keras' own layers, of which few turn axes round."""
    if isinstance(operation, AbstractStateCapture):
        return True
    is_own = type(operation).__module__.startswith("keras.")
    is_layer = isinstance(operation, keras.layers.Layer) and not isinstance(operation, keras.Model)
    return is_own and is_layer and not isinstance(operation, _TURN_AXES)


def _lengths(operation: Any) -> Iterator[int]:
    for weight in getattr(operation, "weights", ()):
        yield from weight.shape
