"""Convolutions as products of matrices, and pooling as comparisons.

XLA convolves slowly on a CPU in a loop or for many runs at once, most of all backwards, and takes a
maximum over windows slowly; it has fast products and fast comparisons everywhere.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import keras

from deep_bottleneck.training.lockstep.obstacles import UNTRACEABLE

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.Conv3D)
POOLINGS = (keras.layers.MaxPooling1D, keras.layers.MaxPooling2D, keras.layers.MaxPooling3D)
# The patches of a batch repeat its pixels; where they take more numbers, a convolution stays one.
MOST_NUMBERS_IN_PATCHES = 2**26


@contextmanager
def as_products(model: keras.Model) -> Iterator[None]:
    """Let the convolutions and the max pooling of a model be traced without XLA's own.

    What they compute is the same but for rounding. Layers of other classes, groups, dilation,
    channels first and windows that overlap stay as they are.

    Args:
        model: what is traced while the context lasts.
    """
    layers = model._flatten_layers()
    ours = {
        (layer, name): method
        for layer in layers
        for kinds, name, method in (
            (CONVOLUTIONS, "convolution_op", _convolved),
            (POOLINGS, "call", _pooled),
        )
        if type(layer) in kinds and layer.data_format == "channels_last"
    }
    for (layer, name), method in ours.items():
        # beside Keras' bookkeeping of what is set on a layer
        vars(layer)[name] = partial(method, layer)
    try:
        yield
    finally:
        for layer, name in ours:
            del vars(layer)[name]


def slower_together(model: keras.Model, example_shape: Sequence[int]) -> bool:
    """Whether runs of a model train faster on a CPU one after the other, step by step.

    That is so where convolutions of XLA remain.

    Args:
        model: a built model.
        example_shape: the shape of one of its inputs.
    """
    examples = jax.ShapeDtypeStruct((1, *example_shape), jnp.float32)
    variables = model.trainable_variables + model.non_trainable_variables
    values = [variable.value for variable in variables]
    n_trainable = len(model.trainable_variables)

    def outputs(examples: jax.Array) -> object:
        return model.stateless_call(
            values[:n_trainable], values[n_trainable:], examples, training=False
        )

    try:
        with as_products(model):
            return "conv_general_dilated" in str(jax.make_jaxpr(outputs)(examples))
    except UNTRACEABLE:
        # a group of such runs says why it cannot be made
        return False


def _convolved(layer: Any, inputs: jax.Array, kernel: Any) -> Any:
    *window, n_in, n_out = kernel.shape
    windows = _windows(inputs.shape, window, layer.strides, layer.padding)
    numbers = math.prod((len(inputs), *windows.shape, *window, n_in))
    if layer.groups != 1 or set(layer.dilation_rate) != {1} or numbers > MOST_NUMBERS_IN_PATCHES:
        return type(layer).convolution_op(layer, inputs, kernel)
    padded = jnp.pad(inputs, ((0, 0), *windows.padding, (0, 0)))
    patches = [padded[chosen] for chosen in windows.positions()]
    columns = jnp.concatenate(patches, axis=-1)
    return keras.ops.matmul(columns, keras.ops.reshape(kernel, (-1, n_out)))


def _pooled(layer: Any, inputs: jax.Array) -> Any:
    if layer.padding != "valid" or tuple(layer.pool_size) != tuple(layer.strides):
        return type(layer).call(layer, inputs)
    windows = _windows(inputs.shape, layer.pool_size, layer.strides, layer.padding)
    first, *others = (inputs[chosen] for chosen in windows.positions())
    largest = first
    for values in others:
        # the first of several that are as large has the gradient, and NaN is kept, as in XLA
        largest = jnp.where((values > largest) | jnp.isnan(values), values, largest)
    return largest


class _Windows:
    """The windows that a layer looks at, along each axis between examples and channels.

    Attributes:
        padding: for each axis how many zeros come before and after.
        shape: how many windows there are.
    """

    def __init__(
        self, window: Sequence[int], strides: Sequence[int], padding: Any, shape: Sequence[int]
    ) -> None:
        self._window, self._strides = window, strides
        self.padding, self.shape = padding, shape

    def positions(self) -> Iterator[tuple[slice, ...]]:
        """For each place in a window, where all windows have it in the padded inputs."""
        for offsets in product(*map(range, self._window)):
            axes = zip(offsets, self._strides, self.shape, strict=True)
            yield (slice(None), *(slice(o, o + s * (n - 1) + 1, s) for o, s, n in axes))


def _windows(
    shape: Sequence[int], window: Sequence[int], strides: Sequence[int], padding: str
) -> _Windows:
    sizes = shape[1:-1]
    padded = jax.lax.padtype_to_pads(sizes, window, strides, padding.upper())
    axes = zip(sizes, window, strides, padded, strict=True)
    found = [(size + sum(ends) - length) // stride + 1 for size, length, stride, ends in axes]
    return _Windows(window, strides, padded, found)
