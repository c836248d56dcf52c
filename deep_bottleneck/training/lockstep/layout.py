"""Dense layers with the examples on the last axis, where XLA's loops on a CPU are twice as fast.

The layers of this field have a handful of units. With examples first, the innermost loop of a
product or an activation is over those few; with examples last it is over all examples of a batch,
and fills the registers. No layer but `Dense` needs to know: the transposes between two of them
cancel, and what lies between is computed in the order that its neighbours ask for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import jax
import keras


@contextmanager
def examples_last(model: keras.Model) -> Iterator[None]:
    """Let the dense layers of a model be traced with the examples on the last axis.

    What they compute is the same but for rounding. Layers of other classes, and inputs that are no
    vectors, stay as they are.

    Args:
        model: what is traced while the context lasts.
    """
    layers = [layer for layer in model._flatten_layers() if type(layer) is keras.layers.Dense]
    plain = [layer for layer in layers if layer.quantization_mode is None]
    for layer in plain:
        # beside Keras' bookkeeping of what is set on a layer
        vars(layer)["call"] = partial(_call, layer)
    try:
        yield
    finally:
        for layer in plain:
            del vars(layer)["call"]


def _call(layer: keras.layers.Dense, inputs: Any, training: bool | None = None) -> Any:
    if len(inputs.shape) != 2:
        return type(layer).call(layer, inputs, training)
    # XLA would take the transposes out again if it could see through the barriers
    examples = jax.lax.optimization_barrier(inputs.T)
    outputs = keras.ops.matmul(keras.ops.transpose(layer.kernel), examples)
    outputs = jax.lax.optimization_barrier(outputs).T
    if layer.bias is not None:
        outputs = keras.ops.add(outputs, layer.bias)
    return outputs if layer.activation is None else layer.activation(outputs)
