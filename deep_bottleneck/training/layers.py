"""The places of a model that an experiment watches: wherever a layer with weights gives an output.

They are found while the model computes, so at any depth: in models inside a model, and in layers of
the user's own that are made of others. A layer that is called twice is two places. A layer of Keras
is one place, whatever it is made of: attention, a recurrent layer, a wrapper, a module of PyTorch.
Layers that scale units and connect none, as normalisation does, are no places.
"""

import itertools
import logging
import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple

import keras
from keras.src.backend import compute_output_spec

from deep_bottleneck.causal.keras_connections import SCALING
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import LayerOutput
from deep_bottleneck.state_space.keras_axes import axis_at

logger = logging.getLogger(__name__)


class Heard(NamedTuple):
    """What a layer gave when it was called.

    Attributes:
        layer: the layer.
        output: a tensor, the first where it gave several.
    """

    layer: keras.Layer
    output: Any


class Extractor(keras.Model):
    """A model with the same inputs and weights that gives the output of each place as well.

    The model's own outputs follow those of the places, in one list.
    """

    def __init__(self, model: keras.Model) -> None:
        super().__init__(name=f"{model.name}_places")
        self.model = model
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> list[Any]:
        """Compute the model, and hear its places."""
        with _listening(self.model) as places:
            outputs = self.model(inputs, training=training)
        return [*(in_full(place.output) for place in places.values()), *keras.tree.flatten(outputs)]


def in_full(values: Any) -> Any:
    """A tensor or a variable in single precision where it is in half, and else as it is."""
    is_half = keras.backend.standardize_dtype(values.dtype) in ("float16", "bfloat16")
    return keras.ops.cast(values, "float32") if is_half else values


def feature_extractor(model: keras.Model) -> Extractor:
    """A model with the same inputs and weights, and the outputs of each place.

    The model's own outputs follow those of the places, so both have all their weights in common.

    Raises:
        ConfigError: if the model has no place, or is not a graph of layers.
    """
    _places(model)
    return Extractor(model)


def layer_outputs(model: keras.Model) -> list[LayerOutput]:
    """Name and shape of the output of each place, in the order of their calls.

    A name is that of the layer, after those of the models or layers that it is in: `block.dense`.
    A further call has its number: `dense_2`.

    Raises:
        ConfigError: if the model has no place, or is not a graph of layers.
    """
    return [
        LayerOutput(name, tuple(heard.output.shape[1:]), axis_at(heard.layer, heard.output))
        for name, heard in _places(model).items()
    ]


def watched_layers(model: keras.Model) -> list[keras.Layer]:
    """The layer of each place."""
    return [heard.layer for heard in _places(model).values()]


def kernels_of(layer: keras.Layer) -> list[keras.Variable]:
    """The weights of a place that connect units, frozen ones among them; no biases."""
    parts = layer._flatten_layers() if _is_whole(layer) else [layer]
    weights = [weight for part in parts for weight in part._trainable_variables]
    kernels = [weight for weight in weights if weight.name != "bias" and len(weight.shape) > 1]
    return kernels or weights or layer.weights


def multiplications(model: keras.Model) -> int:
    """About how many an example takes forward: each weight of a place meets each position."""
    return sum(
        place.n_positions * sum(math.prod(kernel.shape) for kernel in kernels_of(layer))
        for place, layer in zip(layer_outputs(model), watched_layers(model), strict=True)
    )


def tell_of_layers_left_out(model: keras.Model) -> None:
    """Name the layers with weights that no table has a row for, and say why."""
    places = {id(heard.layer) for heard in _places(model).values()}
    others = {
        path: layer
        for path, layer in _layers_by_path(model)
        if _own_weights(layer) and id(layer) not in places
    }
    scaling = [_said(path, layer) for path, layer in others.items() if isinstance(layer, SCALING)]
    silent = [
        _said(path, layer) for path, layer in others.items() if not isinstance(layer, SCALING)
    ]
    if scaling:
        logger.info("Not measured, as they scale units and connect none: %s.", ", ".join(scaling))
    if silent:
        logger.warning(
            "Not measured, as they give no output where the model is called: %s.",
            ", ".join(silent),
        )


def _places(model: keras.Model) -> dict[str, Heard]:
    """What a model's places give symbolically, by name."""
    heard: dict[str, Heard] = {}

    def computed(inputs: Any) -> list[Any]:
        with _listening(model) as places:
            model(inputs, training=False)
        heard.update(places)
        return [place.output for place in places.values()]

    try:
        given = model.inputs[0] if len(model.inputs) == 1 else model.input
        inputs = keras.tree.map_structure(_with_batch, given)
    except (AttributeError, TypeError, ValueError) as error:
        raise ConfigError(
            f'"model": {model.name} must be a Sequential or functional Keras model, so that the '
            f"outputs of its layers can be read ({error})"
        ) from error
    outputs = compute_output_spec(computed, inputs)
    if not heard:
        raise ConfigError(f'"model": {model.name} has no layer with weights to watch')
    pairs = zip(heard.items(), outputs, strict=True)
    return {name: Heard(place.layer, output) for (name, place), output in pairs}


def _with_batch(given: keras.KerasTensor) -> keras.KerasTensor:
    n_examples = given.shape[0] or 1
    return keras.KerasTensor((n_examples, *given.shape[1:]), given.dtype)


@contextmanager
def _listening(model: keras.Model) -> Iterator[dict[str, Heard]]:
    """What the places of a model give while it computes, by name."""
    found: dict[str, Heard] = {}
    by_path = list(_layers_by_path(model))
    names = _Names(path for path, _ in by_path)
    with ExitStack() as patched:
        for layer in {id(layer): layer for _, layer in by_path}.values():
            patched.enter_context(_heard_by(layer, partial(_call, layer, names, found)))
        yield found


def _call(
    layer: Any, names: "_Names", found: dict[str, Heard], call: Any, *inputs: Any, **keywords: Any
) -> Any:
    with names.inside(layer.name):
        outputs = call(*inputs, **keywords)
    if _is_place(layer):
        found[names.of_call(layer.name)] = Heard(layer, keras.tree.flatten(outputs)[0])
    return outputs


@contextmanager
def _heard_by(layer: Any, hear: Any) -> Iterator[None]:
    """Let a function be called instead of a layer's method, which it gets."""
    method = "call" if getattr(layer, "quantization_mode", None) is None else "quantized_call"
    # beside Keras' bookkeeping of what is set on a layer
    before = vars(layer).get(method)
    vars(layer)[method] = partial(hear, getattr(layer, method))
    try:
        yield
    finally:
        del vars(layer)[method]
        if before is not None:
            vars(layer)[method] = before


class _Names:
    """What the calls of layers are called, while a model computes."""

    def __init__(self, paths: Iterator[str]) -> None:
        """Begin outside of all layers; further calls get no name that a layer has."""
        self._taken = set(paths)
        self._called: set[str] = set()
        self._outer: list[str] = []

    @contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """Let the calls of the layers in a layer have its name before theirs."""
        self._outer.append(name)
        try:
            yield
        finally:
            self._outer.pop()

    def of_call(self, name: str) -> str:
        """The name of a call of the layer of that name."""
        path = ".".join([*self._outer, name])
        numbered = (f"{path}_{call}" for call in itertools.count(2))
        if path in self._called:
            path = next(free for free in numbered if free not in self._called | self._taken)
        self._called.add(path)
        return path


def _layers_by_path(outer: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every layer inside of a model, by its name with those of what it is nested in."""
    for layer in outer._flatten_layers(include_self=False, recursive=False):
        yield prefix + layer.name, layer
        if not _is_whole(layer):
            yield from _layers_by_path(layer, f"{prefix}{layer.name}.")


def _is_whole(layer: Any) -> bool:
    """Whether it is a layer of Keras, which is one place whatever it is made of."""
    of_keras = next(kind for kind in type(layer).__mro__ if kind.__module__.startswith("keras."))
    return of_keras is not keras.Layer and not isinstance(layer, keras.Model)


def _is_place(layer: Any) -> bool:
    return _own_weights(layer) and not isinstance(layer, SCALING)


def _own_weights(layer: Any) -> bool:
    """Whether a layer has weights that are not those of places inside of it."""
    if _is_whole(layer):
        return bool(layer.weights)
    return bool(layer._trainable_variables or layer._non_trainable_variables)


def _said(path: str, layer: Any) -> str:
    return f"{path} ({type(layer).__name__})"
