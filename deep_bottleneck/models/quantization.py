"""Activations with few bits, so that every state of a layer is discrete.

Lorenzen, Igel and Nielsen, "Information bottleneck: exact analysis of (quantized) neural networks",
ICLR 2022.
"""

from typing import Any

import keras

from deep_bottleneck.errors import ConfigError

# Where an activation has no bound of its own, what lies outside is clipped. Part of the network, so
# apart from the ranges that a measure takes outputs to have (`causal.ranges`), which agree.
RANGES = {
    "tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "relu6": (0.0, 6.0),
    "relu": (0.0, 10.0),
    "softplus": (0.0, 10.0),
    "elu": (-1.0, 10.0),
    "selu": (-1.7581, 10.0),
    "leaky_relu": (-10.0, 10.0),
    "linear": (-10.0, 10.0),
}


@keras.saving.register_keras_serializable("deep_bottleneck")
class QuantizedActivation:
    """An activation rounded to the centre of one of 2^bits equal intervals of its range.

    Gradients pass as if nothing had been rounded (straight-through estimator; Bengio, Léonard and
    Courville 2013, arXiv:1308.3432), but not where a value was clipped.
    """

    def __init__(self, activation: str, bits: int) -> None:
        """Quantise a Keras activation.

        Args:
            activation: its name, one of `RANGES`.
            bits: how many bits its values keep.

        Raises:
            ConfigError: if the range of the activation is not known.
        """
        if activation not in RANGES:
            raise ConfigError(
                f'"quantize_bits": the activation {activation} has no known range, one of '
                f"{', '.join(RANGES)} has"
            )
        self.activation = activation
        self.bits = bits

    def __call__(self, inputs: Any) -> Any:
        """The quantised activation of a tensor."""
        low, high = RANGES[self.activation]
        levels = 2**self.bits
        step = (high - low) / levels
        ops = keras.ops
        values = ops.clip(keras.activations.get(self.activation)(inputs), low, high)
        index = ops.clip(ops.floor((values - low) / step), 0, levels - 1)
        centre = ops.stop_gradient((index + 0.5) * step + low)
        # the difference is exactly zero, and carries the gradient
        return centre + (values - ops.stop_gradient(values))

    def get_config(self) -> dict[str, Any]:
        """What makes this activation again."""
        return {"activation": self.activation, "bits": self.bits}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "QuantizedActivation":
        """The activation that `get_config` described."""
        return cls(**config)
