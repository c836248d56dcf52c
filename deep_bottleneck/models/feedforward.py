"""The classic network of the information plane: dense layers and a softmax readout."""

from collections.abc import Callable, Sequence

import keras

from deep_bottleneck.models.quantization import QuantizedActivation

OPTIMIZERS = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam}


def load(
    architecture: Sequence[int],
    activation_fn: str,
    optimizer: str,
    learning_rate: float,
    input_size: int,
    output_size: int,
    max_norm_weights: bool | float = False,
    initial_bias: float = 0.0,
    quantize_bits: int | None = None,
    after_hidden: Callable[[], keras.Layer] | None = None,
    input_shape: Sequence[int] | None = None,
) -> keras.Model:
    """Dense layers of `architecture` and a softmax readout, compiled with cross-entropy.

    Kernels start from a truncated normal with standard deviation 1/sqrt(units).

    Args:
        architecture: units of the hidden layers.
        activation_fn: their activation.
        optimizer: "sgd" or "adam".
        learning_rate: its step size.
        input_size: numbers in one example.
        output_size: number of classes.
        max_norm_weights: largest norm of a unit's incoming weights, False for no limit.
        initial_bias: every bias at the start.
        quantize_bits: bits that each activation keeps, None for all.
        after_hidden: makes a layer to put after each hidden layer.
        input_shape: the shape of one example where it is no vector; it is flattened first.
    """

    def dense(units: int, activation: str) -> keras.layers.Dense:
        return keras.layers.Dense(
            units,
            activation=QuantizedActivation(activation, quantize_bits)
            if quantize_bits
            else activation,
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=units**-0.5),
            bias_initializer=keras.initializers.Constant(initial_bias),
            kernel_constraint=keras.constraints.MaxNorm(max_norm_weights)
            if max_norm_weights
            else None,
        )

    shape = tuple(input_shape or (input_size,))
    model = keras.Sequential([keras.Input(shape)])
    if len(shape) > 1:
        model.add(keras.layers.Flatten())
    for units in architecture:
        model.add(dense(units, activation_fn))
        if after_hidden is not None:
            model.add(after_hidden())
    model.add(dense(output_size, "softmax"))
    model.compile(
        optimizer=OPTIMIZERS[optimizer](learning_rate),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model
