"""The gradient of a Keras model's loss on one batch, on any backend."""

from collections.abc import Callable, Sequence
from typing import Any

import keras

from deep_bottleneck.interfaces import FloatArray, IntArray
from deep_bottleneck.training.layers import in_full

Loss = Callable[[Sequence[Any]], Any]


def kernel_gradients(
    model: keras.Model, kernels: Sequence[Any], examples: FloatArray, targets: FloatArray | IntArray
) -> list[FloatArray]:
    """Gradients of the compiled loss with respect to some of a model's weights.

    The model itself, its moving averages too, stays as it is.

    Args:
        model: a compiled model.
        kernels: the variables to differentiate for, frozen ones among them.
        examples: float32, shape (n_examples, ...).
        targets: the labels as the compiled loss takes them.

    Returns:
        The gradient for each kernel, flattened.
    """
    inputs, labels = (keras.ops.convert_to_tensor(array) for array in (examples, targets))
    chosen = {id(kernel): index for index, kernel in enumerate(kernels)}
    loss_function = keras.losses.get(model.loss)

    def loss(values: Sequence[Any]) -> Any:
        def of(variables: Sequence[Any]) -> list[Any]:
            return [
                values[chosen[id(variable)]]
                if id(variable) in chosen
                else keras.ops.stop_gradient(variable.value)
                for variable in variables
            ]

        predictions, _, penalties = model.stateless_call(
            of(model.trainable_variables),
            of(model.non_trainable_variables),
            inputs,
            training=True,
            return_losses=True,
        )
        return keras.ops.mean(loss_function(labels, predictions)) + sum(penalties)

    gradients = _GRADIENT[keras.backend.backend()](loss, [kernel.value for kernel in kernels])
    return [keras.ops.convert_to_numpy(in_full(gradient)).ravel() for gradient in gradients]


def _torch(loss: Loss, weights: Sequence[Any]) -> Sequence[Any]:
    import torch

    return torch.func.grad(loss)([weight.detach() for weight in weights])


def _tensorflow(loss: Loss, weights: Sequence[Any]) -> Sequence[Any]:
    import tensorflow

    values = [tensorflow.convert_to_tensor(weight) for weight in weights]
    with tensorflow.GradientTape() as tape:
        tape.watch(values)
        result = loss(values)
    return tape.gradient(result, values)


def _jax(loss: Loss, weights: Sequence[Any]) -> Sequence[Any]:
    import jax

    return jax.grad(loss)(list(weights))


_GRADIENT = {"torch": _torch, "tensorflow": _tensorflow, "jax": _jax}
