"""Probes for Keras 3: a layer that records and changes nothing, on any backend."""

import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import torch

from deep_bottleneck.state_space.capture import AbstractStateCapture, not_a_tensor
from deep_bottleneck.state_space.matching import LayerMatcher, Method
from deep_bottleneck.state_space.torch_capture import record_outside_graph

logger = logging.getLogger(__name__)


@keras.saving.register_keras_serializable("deep_bottleneck")
class StateCapture(keras.layers.Layer, AbstractStateCapture):
    """A layer that records the firing states of its input and passes it on unchanged.

    Args:
        name: what the capture is called, in messages and on disk.
        disk_path: a folder for the raw states, or None to keep counts only.
        channel_axis: the axis of the neurons: -1 for channels last, 1 for channels first.
        evaluation_only: whether to let what passes in training mode go unrecorded.
    """

    def __init__(
        self,
        name: str,
        disk_path: str | Path | None = None,
        channel_axis: int = -1,
        evaluation_only: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, autocast=False, **kwargs)
        self.supports_masking = True
        # XLA as TensorFlow uses it cannot call back into Python.
        self.supports_jit = keras.backend.backend() != "tensorflow"
        self._evaluation_only = evaluation_only
        self._set_up_capture(disk_path, channel_axis)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Record the input and return it."""
        if not (self._evaluation_only and training):
            _HAND_OVER[keras.backend.backend()](self.record, inputs)
        return inputs

    def compute_output_spec(self, inputs: Any, **_: Any) -> Any:
        """What comes out: exactly what goes in.

        Raises:
            TypeError: if that is not one tensor.
        """
        if not isinstance(inputs, keras.KerasTensor):
            raise TypeError(not_a_tensor(self.name, inputs))
        return keras.KerasTensor(inputs.shape, inputs.dtype)

    def _settle(self) -> None:
        if keras.backend.backend() == "jax":
            import jax

            jax.effects_barrier()

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same capture again, with nothing captured."""
        return {
            **super().get_config(),
            "disk_path": None if self._disk_path is None else str(self._disk_path),
            "channel_axis": self._channel_axis,
            "evaluation_only": self._evaluation_only,
        }


def with_captures(
    model: keras.Model,
    matcher: LayerMatcher,
    method: Method,
    disk_path: str | Path | None,
    evaluation_only: bool,
) -> keras.Model:
    """A new model with a `StateCapture` at each matching layer; all other layers are shared.

    The captures are in its `efficiency_layers`, in the order of the layers.

    Args:
        model: a Functional or built Sequential model, which is left as it is.
        matcher: which layers to attach to.
        method: at the input, the output or both.
        disk_path: a folder for the raw states, or None.
        evaluation_only: whether to record in evaluation mode only.

    Raises:
        TypeError: if the model is neither Functional nor Sequential.
        ValueError: if a Sequential model is not built, or a layer that was asked for does not
            exist.
    """
    graph = _as_graph(model)
    layers = {
        layer.name: layer
        for layer in graph.layers
        if not isinstance(layer, keras.layers.InputLayer | StateCapture)
    }
    matched = set(matcher.select({name: type(layer) for name, layer in layers.items()}))
    captures: dict[str, StateCapture] = {}

    def capture(name: str, layer: keras.layers.Layer) -> StateCapture:
        if name not in captures:
            channels_first = getattr(layer, "data_format", None) == "channels_first"
            captures[name] = StateCapture(
                name, disk_path, 1 if channels_first else -1, evaluation_only
            )
        return captures[name]

    def call_with_captures(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if layer.name in matched and method.before:
            args = (capture(f"{layer.name}_pre_states", layer)(args[0]), *args[1:])
        outputs = layer(*args, **kwargs)
        if layer.name in matched and method.after:
            outputs = capture(f"{layer.name}_states", layer)(outputs)
        return outputs

    probed = keras.models.clone_model(
        graph, clone_function=lambda layer: layer, call_function=call_with_captures
    )
    probed.efficiency_layers = list(captures.values())
    _compile_like(probed, model)
    return probed


def _as_graph(model: keras.Model) -> keras.Model:
    """The model as a plain, uncompiled graph of its layers."""
    if isinstance(model, keras.Sequential):
        if not model.built:
            raise ValueError(
                f"the Sequential model {model.name!r} is not built: give it an Input, or call it "
                "once"
            )
        return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    try:
        inputs, outputs = model.input, model.output
    except (AttributeError, ValueError):
        raise TypeError(
            f"captures can be inserted into Functional and Sequential Keras models, not into "
            f"{type(model).__name__}: place StateCapture layers in its call method instead"
        ) from None
    return keras.Model(inputs, outputs, name=model.name)


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


def _hand_over_torch(record: Callable[[Any], None], inputs: Any) -> None:
    if isinstance(inputs, torch.Tensor) and inputs.device.type == "meta":
        return  # Keras works out shapes
    record_outside_graph(record, inputs)


def _hand_over_tensorflow(record: Callable[[Any], None], inputs: Any) -> None:
    import tensorflow as tf

    if not tf.is_tensor(inputs):
        record(inputs)
        return

    def record_eagerly(firing: Any) -> None:
        record(firing.numpy())

    firing = tf.cast(inputs > 0, tf.float16)
    tf.py_function(record_eagerly, [tf.where(tf.equal(inputs, inputs), firing, math.nan)], [])


def _hand_over_jax(record: Callable[[Any], None], inputs: Any) -> None:
    import jax
    import jax.experimental

    if not isinstance(inputs, jax.Array):
        record(inputs)
        return

    def record_on_host(firing: Any) -> None:
        record(np.array(firing))

    firing = jax.numpy.where(inputs == inputs, (inputs > 0).astype("float16"), math.nan)
    jax.experimental.io_callback(record_on_host, None, firing)


_HAND_OVER = {
    "torch": _hand_over_torch,
    "tensorflow": _hand_over_tensorflow,
    "jax": _hand_over_jax,
}
