"""Captures at the layers of a Keras model, nested ones too, each call of a layer its own place."""

import inspect
import itertools
import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
from keras.src.models.functional import Functional

from deep_bottleneck.state_space.axes import ChosenAxes, question
from deep_bottleneck.state_space.capture import not_a_tensor
from deep_bottleneck.state_space.keras_axes import axis_at
from deep_bottleneck.state_space.keras_capture import StateCapture
from deep_bottleneck.state_space.matching import LayerMatcher, Method

logger = logging.getLogger(__name__)


@keras.saving.register_keras_serializable("deep_bottleneck")
class EfficiencyModel(keras.Model):
    """A Keras model with captures, which knows them wherever it is loaded or cloned."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)

    @property
    def efficiency_layers(self) -> list[StateCapture]:
        """Its captures, in the order of the layers."""
        return list(captures_in(self))

    def get_config(self) -> dict[str, Any]:
        """What makes the same model again.

        Raises:
            ValueError: if a model nested in it is called several times, since its layers are then
                in several models, which Keras cannot load.
        """
        nested = [layer for model in _nested(self) for layer in model.layers]
        times = Counter(map(id, nested))
        shared = {layer.name for layer in nested if times[id(layer)] > 1}
        if shared:
            raise ValueError(
                f"a model with captures at each call of {sorted(shared)} cannot be saved: save the "
                "model that they were inserted into, and insert them again where it is loaded"
            )
        return super().get_config()


def _nested(model: keras.Model) -> Iterator[keras.Model]:
    """All models in a model, at any depth."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield layer
            yield from _nested(layer)


def captures_in(model: keras.Model) -> Iterator[StateCapture]:
    """All captures in a model and in those nested in it, in the order of the layers."""
    for layer in model.layers:
        if isinstance(layer, StateCapture):
            yield layer
        elif isinstance(layer, keras.Model):
            yield from captures_in(layer)


def with_captures(
    model: keras.Model,
    matcher: LayerMatcher,
    method: Method,
    axes: ChosenAxes,
    disk_path: str | Path | None,
    evaluation_only: bool,
) -> EfficiencyModel:
    """A new model with a `StateCapture` at each matching layer; all other layers are shared.

    The captures are in its `efficiency_layers`, in the order of the layers, and in place of those
    that an earlier call inserted.

    Args:
        model: a Functional or built Sequential model, which is left as it is.
        matcher: which layers to attach to.
        method: at the input, the output or both.
        axes: the axes of the neurons that the user named.
        disk_path: a folder for the raw states, or None.
        evaluation_only: whether to record in evaluation mode only.

    Raises:
        TypeError: if the model is neither Functional nor Sequential.
        ValueError: if a Sequential model is not built, a layer that was asked for does not exist,
            or the axis of its neurons cannot be known.
    """
    graph, replaces = _as_graph(model), isinstance(model, EfficiencyModel)
    layers = dict(_layers_by_path(graph, ""))
    kinds = {path: type(layer) for path, layer in layers.items()}
    matched = matcher.select(kinds)
    axes.check(kinds)
    _tell_of_hidden(layers, matcher)

    def make(name: str, axis: int) -> StateCapture:
        return StateCapture(name, disk_path, axis, evaluation_only)

    probed = _Insertion(matched, method, axes, make, replaces).into(graph, "", graph.name)
    probed = EfficiencyModel(probed.input, probed.output, name=graph.name)
    _compile_like(probed, model)
    return probed


class _Insertion:
    """Puts captures into a graph of layers, and into the graphs nested in it.

    Args:
        matched: the paths of the layers to attach to.
        method: at the input, the output or both.
        axes: the axes of the neurons that the user named.
        make: makes a capture of that name, with the neurons on that axis.
        replaces: whether captures that are in the graph are left out.
    """

    def __init__(
        self,
        matched: Collection[str],
        method: Method,
        axes: ChosenAxes,
        make: Callable[[str, int], StateCapture],
        replaces: bool,
    ) -> None:
        self._matched = matched
        self._method = method
        self._axes = axes
        self._make = make
        self._replaces = replaces
        self._calls: Counter[str] = Counter()

    def into(self, graph: keras.Model, prefix: str, name: str) -> keras.Model:
        """The graph with captures, as a model of that name; its layers are shared.

        Args:
            graph: a graph of layers.
            prefix: the path of the graph, with a dot at its end, or nothing.
            name: of the model.
        """
        taken = {layer.name for layer in graph.layers}

        def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
            if self._replaces and isinstance(layer, StateCapture):
                return args[0]
            path = prefix + layer.name
            if _is_graph(layer) and self._concerns(layer, f"{path}."):
                self._calls[path] += 1
                free = _free_name(layer.name, taken) if self._calls[path] > 1 else layer.name
                layer = self.into(_as_graph(layer), f"{path}.", free)
            return self._called(path, layer, args, kwargs)

        probed = keras.models.clone_model(
            graph, clone_function=lambda layer: layer, call_function=call
        )
        return keras.Model(probed.input, probed.output, name=name)

    def _concerns(self, nested: keras.Model, prefix: str) -> bool:
        is_probed = self._replaces and next(captures_in(nested), None) is not None
        return is_probed or any(path.startswith(prefix) for path in self._matched)

    def _called(self, path: str, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if path not in self._matched:
            return layer(*args, **kwargs)
        if self._method.before:
            key = 0 if args else _first_keyword(layer, kwargs)
            inputs: Any = [*args] if args else kwargs
            inputs[key] = self._captured(f"{path}_pre_states", path, layer, inputs[key])
            args = tuple(inputs) if args else ()
        outputs = layer(*args, **kwargs)
        if not self._method.after:
            return outputs
        name = f"{path}_states"
        if isinstance(outputs, list | tuple) and not _is_graph(layer):
            # the first is the output of recurrent layers and of attention
            first = self._captured(name, path, layer, outputs[0])
            return type(outputs)([first, *outputs[1:]])
        return self._captured(name, path, layer, outputs)

    def _captured(self, name: str, path: str, layer: Any, tensor: Any) -> Any:
        if not isinstance(tensor, keras.KerasTensor):
            raise TypeError(not_a_tensor(name, tensor))
        axis = self._axes.of(path, type(layer))
        axis = axis_at(layer, tensor) if axis is None else axis
        if axis is None:
            raise ValueError(question(name, path, tensor.shape))
        self._calls[name] += 1
        call = self._calls[name]
        return self._make(name if call == 1 else f"{name}_{call}", axis)(tensor)


def _layers_by_path(graph: keras.Model, prefix: str) -> Iterator[tuple[str, Any]]:
    """Every layer by its name, with those of the models it is nested in and a dot before."""
    for layer in graph.layers:
        if isinstance(layer, keras.layers.InputLayer | StateCapture):
            continue
        yield prefix + layer.name, layer
        if _is_graph(layer):
            yield from _layers_by_path(_as_graph(layer), f"{prefix}{layer.name}.")


def _tell_of_hidden(layers: Mapping[str, Any], matcher: LayerMatcher) -> None:
    """Name those layers that match, and are inside of layers that are no graph."""
    hidden = [
        f"{path}.{inner.name}"
        for path, layer in layers.items()
        if not _is_graph(layer)
        for inner in layer._flatten_layers(include_self=False)
        if matcher.picks(inner.name, type(inner))
    ]
    if hidden:
        logger.warning(
            "no captures at %s, inside of layers that are no graph of layers: place StateCapture "
            "layers in their call method",
            ", ".join(hidden),
        )


def _is_graph(layer: Any) -> bool:
    return isinstance(layer, Functional | keras.Sequential)


def _free_name(name: str, taken: set[str]) -> str:
    free = next(candidate for n in itertools.count(2) if (candidate := f"{name}_{n}") not in taken)
    taken.add(free)
    return free


def _first_keyword(layer: Any, kwargs: Mapping[str, Any]) -> str:
    return next(name for name in inspect.signature(layer.call).parameters if name in kwargs)


def _as_graph(model: keras.Model) -> keras.Model:
    """The model as a plain, uncompiled graph of its layers."""
    if isinstance(model, keras.Sequential):
        if not model.built:
            raise ValueError(
                f"the Sequential model {model.name!r} is not built: give it an Input, or call it "
                "once"
            )
        return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    if not _is_graph(model):
        raise TypeError(
            f"captures can be inserted into Functional and Sequential Keras models, not into "
            f"{type(model).__name__}: place StateCapture layers in its call method instead"
        )
    return keras.Model(model.input, model.output, name=model.name)


def _compile_like(probed: keras.Model, model: keras.Model) -> None:
    if not model.compiled:
        return
    try:
        probed.compile_from_config(model.get_compile_config())
    except (TypeError, ValueError) as error:
        logger.warning(
            "the model with captures is not compiled, as a loss or metric of %r cannot be made "
            "again (%s): compile it before calling evaluate or fit",
            model.name,
            error,
        )
