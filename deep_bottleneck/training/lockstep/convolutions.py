"""Whether a model convolves, which XLA does slowly on a CPU in a loop or for many runs at once."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import keras

from deep_bottleneck.training.lockstep.obstacles import UNTRACEABLE


def convolves(model: keras.Model, example_shape: Sequence[int]) -> bool:
    """Whether any convolution is computed in a model.

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

    return "conv_general_dilated" in str(jax.make_jaxpr(outputs)(examples))


def slower_together(model: keras.Model, example_shape: Sequence[int]) -> bool:
    """Whether runs of a model train faster one after the other, step by step.

    Args:
        model: a built model.
        example_shape: the shape of one of its inputs.
    """
    if jax.devices()[0].platform != "cpu":
        return False
    try:
        return convolves(model, example_shape)
    except UNTRACEABLE:
        # a group of such runs says why it cannot be made
        return False
