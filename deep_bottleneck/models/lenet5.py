"""LeNet-5 for images of 28x28 or more: three convolutions and a softmax readout.

As in the study of state-space efficiency by Schaub and Hotaling, "Assessing Intelligence in
Artificial Neural Networks", 2020, arXiv:2006.02909; after LeCun, Bottou, Bengio and Haffner,
"Gradient-based learning applied to document recognition", 1998.
"""

from collections.abc import Sequence

import keras

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.models.feedforward import OPTIMIZERS

REFERENCES = ("lecun1998", "schaub2020")

SMALLEST_IMAGE = 28


def load(
    input_shape: Sequence[int], output_size: int, optimizer: str, learning_rate: float
) -> keras.Model:
    """20 and 50 kernels of 5x5 and 100 of 4x4, each with ELU and batch normalisation.

    Max pooling follows the first two. Compiled with cross-entropy.

    Args:
        input_shape: height, width and channels of an image.
        output_size: number of classes.
        optimizer: "sgd" or "adam".
        learning_rate: its step size.

    Raises:
        ConfigError: if the examples are no images of at least 28x28.
    """
    if len(input_shape) != 3 or min(input_shape[:2]) < SMALLEST_IMAGE:
        raise ConfigError(
            f'"model": models.lenet5 needs images of shape (height, width, channels) with at least '
            f"{SMALLEST_IMAGE}x{SMALLEST_IMAGE} pixels, but the examples of the data set have the "
            f"shape {tuple(input_shape)}"
        )
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input(tuple(input_shape)),
            _convolution(20, 5, "conv_1"),
            _normalization("norm_1"),
            layers.MaxPooling2D(2, data_format="channels_last", name="maxp_1"),
            _convolution(50, 5, "conv_2"),
            _normalization("norm_2"),
            layers.MaxPooling2D(2, data_format="channels_last", name="maxp_2"),
            _convolution(100, 4, "conv_3"),
            _normalization("norm_3"),
            layers.Flatten(name="flatten"),
            layers.Dense(output_size, activation="softmax", name="pred"),
        ],
        name="lenet5",
    )
    model.compile(
        optimizer=OPTIMIZERS[optimizer](learning_rate),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def _convolution(kernels: int, size: int, name: str) -> keras.layers.Conv2D:
    return keras.layers.Conv2D(
        kernels, size, activation="elu", data_format="channels_last", name=name
    )


def _normalization(name: str) -> keras.Layer:
    # Keras' momentum of 0.99 takes hundreds of steps to learn the averages, several short epochs
    return keras.layers.BatchNormalization(momentum=0.9, name=name)
