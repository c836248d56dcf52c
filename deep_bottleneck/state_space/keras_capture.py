"""Probes for Keras 3: a layer that records and changes nothing, on any backend."""

import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import torch
from keras.src.backend.common.stateless_scope import get_stateless_scope

from deep_bottleneck.state_space.axes import question
from deep_bottleneck.state_space.capture import AbstractStateCapture, not_a_tensor
from deep_bottleneck.state_space.keras_axes import axis_of
from deep_bottleneck.state_space.torch_capture import outside_graph

logger = logging.getLogger(__name__)


@keras.saving.register_keras_serializable("deep_bottleneck")
class StateCapture(keras.layers.Layer, AbstractStateCapture):
    """A layer that records the firing states of its input and passes it on unchanged.

    One that is loaded or cloned keeps counts only, since two would write to one place.

    Args:
        name: what the capture is called, in messages and on disk.
        disk_path: a folder for the raw states, or None to keep counts only.
        channel_axis: the axis of the neurons; None to find it by the layers before, in a graph of
            layers, and the last of two elsewhere.
        evaluation_only: whether to let what passes in training mode go unrecorded.
        kwargs: those of a `keras.layers.Layer`.
    """

    def __init__(
        self,
        name: str,
        disk_path: str | Path | None = None,
        channel_axis: int | None = None,
        evaluation_only: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, autocast=False, **kwargs)
        self.supports_masking = True
        # XLA as TensorFlow uses it cannot call back into Python.
        self.supports_jit = keras.backend.backend() != "tensorflow"
        self._evaluation_only = evaluation_only
        self._built_in: Any = None
        self._set_up_capture(disk_path, channel_axis)

    def build(self, input_shape: Any) -> None:
        """Note the scope in which Keras builds a model by a batch that passes again afterwards."""
        self._built_in = _outermost_scope()

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Record the input and return it.

        Raises:
            ValueError: if the axis of the neurons is not known.
        """
        if self._channel_axis is None and len(inputs.shape) > 2:
            raise ValueError(question(self.name, self.name, tuple(inputs.shape)))
        if self._built_in is not _outermost_scope():
            self._built_in = None
        if self._built_in is None and not (self._evaluation_only and training):
            _HAND_OVER[keras.backend.backend()](self.record, inputs)
        return inputs

    def compute_output_spec(self, inputs: Any, **_: Any) -> Any:
        """What comes out: exactly what goes in.

        Raises:
            TypeError: if that is not one tensor.
            ValueError: if the axis of its neurons is not known.
        """
        if not isinstance(inputs, keras.KerasTensor):
            raise TypeError(not_a_tensor(self.name, inputs))
        if self._channel_axis is None:
            self._channel_axis = axis_of(inputs)
        if self._channel_axis is None:
            raise ValueError(question(self.name, self.name, tuple(inputs.shape)))
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

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "StateCapture":
        """A capture with the same arguments, and nothing captured, that keeps counts only."""
        config = dict(config)
        folder = config.pop("disk_path", None)
        if folder is not None:
            logger.warning(
                "%s was made again and keeps counts only: the states of the first are kept in %s",
                config["name"],
                folder,
            )
        return cls(**config)


def _outermost_scope() -> Any:
    """The outermost of the scopes in which Keras changes no variables, None outside of all."""
    scope = get_stateless_scope()
    while scope is not None and scope.original_scope is not None:
        scope = scope.original_scope
    return scope


def _hand_over_torch(record: Callable[[Any], None], inputs: Any) -> None:
    if isinstance(inputs, torch.Tensor) and inputs.device.type == "meta":
        return  # Keras works out shapes
    outside_graph(record)(inputs)


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
