"""The gradient of a Keras model's loss on one batch, on any backend."""

from typing import Any

import keras
import numpy as np

from deep_bottleneck.interfaces import FloatArray


def kernel_gradients(
    model: keras.Model, kernels: list[Any], examples: FloatArray, targets: FloatArray
) -> list[FloatArray]:
    """Gradients of the compiled loss with respect to some of a model's weights.

    Args:
        model: a compiled model.
        kernels: the variables to differentiate for.
        examples: float32, shape (n_examples, ...).
        targets: float32, shape (n_examples, n_classes).

    Returns:
        The gradient for each kernel, flattened.
    """
    gradients = _BACKENDS[keras.backend.backend()](model, kernels, examples, targets)
    return [keras.ops.convert_to_numpy(gradient).ravel() for gradient in gradients]


def _loss(model: keras.Model, examples: Any, targets: Any) -> Any:
    predictions = model(examples, training=True)
    return model.compute_loss(examples, targets, predictions)


def _torch(model: keras.Model, kernels: list[Any], examples: Any, targets: Any) -> Any:
    import torch

    inputs, labels = (keras.ops.convert_to_tensor(array) for array in (examples, targets))
    with torch.enable_grad():
        loss = _loss(model, inputs, labels)
        return [g.detach() for g in torch.autograd.grad(loss, [k.value for k in kernels])]


def _tensorflow(model: keras.Model, kernels: list[Any], examples: Any, targets: Any) -> Any:
    import tensorflow

    with tensorflow.GradientTape() as tape:
        loss = _loss(model, examples, targets)
    return tape.gradient(loss, [kernel.value for kernel in kernels])


def _jax(model: keras.Model, kernels: list[Any], examples: Any, targets: Any) -> Any:
    import jax

    values = [variable.value for variable in model.trainable_variables]
    others = [variable.value for variable in model.non_trainable_variables]
    loss_function = keras.losses.get(model.loss)

    def loss(weights: Any) -> Any:
        predictions, _, penalties = model.stateless_call(
            weights, others, examples, training=True, return_losses=True
        )
        return keras.ops.mean(loss_function(targets, predictions)) + sum(penalties)

    by_variable = dict(zip(map(id, model.trainable_variables), jax.grad(loss)(values), strict=True))
    return [np.asarray(by_variable[id(kernel)]) for kernel in kernels]


_BACKENDS = {"torch": _torch, "tensorflow": _tensorflow, "jax": _jax}
