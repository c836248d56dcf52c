"""The layers an experiment watches: those with a kernel."""

import keras

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import LayerOutput


def layers_with_kernel(model: keras.Model) -> list[keras.Layer]:
    """Dense and convolution layers in their order; the last is the readout."""
    return [layer for layer in model.layers if getattr(layer, "kernel", None) is not None]


def layer_outputs(model: keras.Model) -> list[LayerOutput]:
    """Name and shape of the output of each such layer."""
    return [
        LayerOutput(layer.name, tuple(layer.output.shape[1:]), _neuron_axis(layer))
        for layer in layers_with_kernel(model)
    ]


def feature_extractor(model: keras.Model) -> keras.Model:
    """A model with the same inputs and weights, and the outputs of each such layer.

    The model's own outputs follow those of the layers, so both have all their weights in common.

    Raises:
        ConfigError: if the model has no layer with a kernel, or is not a graph of layers.
    """
    layers = layers_with_kernel(model)
    if not layers:
        raise ConfigError(f'"model": {model.name} has no layer with a kernel to watch')
    try:
        return keras.Model(model.inputs, [*(layer.output for layer in layers), *model.outputs])
    except (AttributeError, ValueError) as error:
        raise ConfigError(
            f'"model": {model.name} must be a Sequential or functional Keras model, so that the '
            f"outputs of its layers can be read ({error})"
        ) from error


def _neuron_axis(layer: keras.Layer) -> int:
    return 0 if getattr(layer, "data_format", None) == "channels_first" else -1
