"""Why models cannot be trained together, where `model.fit` can train each of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

# what a subclass may have of its own that `model.fit` calls and the compiled programs do not
_LOOP = (
    "fit",
    "evaluate",
    "make_train_function",
    "make_test_function",
    "reset_metrics",
    "jax_state_sync",
)
# what may differ between models and changes no step: a seed is a part of a random generator's state
_FREE = frozenset({"name", "stop_training"})


# what Keras and JAX raise where code cannot be traced
UNTRACEABLE = (
    AttributeError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)


class ObstacleError(Exception):
    """Models that cannot be trained together; its text says why, after "since"."""


def obstacle(models: Sequence[keras.Model]) -> str | None:
    """Why these models cannot be trained by compiled programs, None if they can be tried.

    Args:
        models: compiled models of one architecture.
    """
    backend = keras.backend.backend()
    if backend != "jax":
        return f"the backend is {backend}"
    if keras.distribution.distribution() is not None:
        return "keras.distribution says how to train"
    template = models[0]
    for method in _LOOP:
        if getattr(type(template), method) is not getattr(keras.Model, method):
            return f"{type(template).__name__} has a method {method} of its own"
    return _compiled_with(template) or _difference(models)


def _compiled_with(model: keras.Model) -> str | None:
    if not model.compiled:
        return "the model is not compiled"
    if model.run_eagerly:
        return "the model is compiled with run_eagerly=True"
    if not model.jit_compile:
        return (
            "the model is compiled with jit_compile=False, or has a layer that XLA cannot compile"
        )
    if model.steps_per_execution != 1:
        return f"the model is compiled with steps_per_execution={model.steps_per_execution}"
    return None


def _difference(models: Sequence[keras.Model]) -> str | None:
    """What models differ in besides the values of their variables."""
    first, *others = models
    if not others:
        return None
    shapes, settings = _shapes(first), _settings(first)
    for model in others:
        if _shapes(model) != shapes:
            return "the models differ in shape"
        if _settings(model) != settings:
            return "the models differ in a setting of a layer or of what they are compiled with"
    return None


def _shapes(model: keras.Model) -> list[tuple[str, tuple[int, ...]]]:
    return [(variable.dtype, tuple(variable.shape)) for variable in model.variables]


def _settings(model: keras.Model) -> Any:
    """What the layers, the optimizer, the loss and a subclass of a model were made with."""
    layers = model._flatten_layers(include_self=False)
    parts = [layer for layer in layers if not isinstance(layer, keras.Model)]
    own = {
        name: value for name, value in vars(model).items() if isinstance(value, int | float | str)
    }
    return [_config(part) for part in (*parts, model.optimizer, model.loss)], _free_of_names(own)


def _config(part: Any) -> Any:
    """The class and config of a layer, an optimizer or a loss; the class of what has no config."""
    if isinstance(part, str):
        return part
    try:
        config = _free_of_names(part.get_config())
    except (AttributeError, NotImplementedError, TypeError, ValueError):
        return type(part)
    return type(part), _without_state(config, isinstance(part, keras.Optimizer))


def _free_of_names(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in values.items()
        if name not in _FREE and not name.startswith("_")
    }


def _without_state(value: Any, of_optimizer: bool) -> Any:
    """A config without what is a variable, of which each run has its own."""
    if isinstance(value, Mapping):
        return {
            key: _without_state(held, of_optimizer)
            for key, held in value.items()
            if key != "seed"
            and not (of_optimizer and key == "learning_rate" and isinstance(held, float))
            and not (of_optimizer and key == "name")
        }
    if isinstance(value, list | tuple):
        return [_without_state(held, of_optimizer) for held in value]
    return value
