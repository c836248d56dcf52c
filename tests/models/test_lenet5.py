import numpy as np
import pytest

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.models import lenet5
from deep_bottleneck.training.layers import layer_outputs


def load(input_shape=(28, 28, 1), output_size=10, **changes):
    arguments = {"optimizer": "adam", "learning_rate": 0.002, **changes}
    return lenet5.load(input_shape, output_size, **arguments)


def test_kernels_and_outputs_are_those_of_the_study():
    model = load()

    assert [(output.name, output.shape) for output in layer_outputs(model)] == [
        ("conv_1", (24, 24, 20)),
        ("conv_2", (8, 8, 50)),
        ("conv_3", (1, 1, 100)),
        ("pred", (10,)),
    ]
    kernels = [layer.kernel.shape for layer in model.layers if hasattr(layer, "kernel")]
    assert kernels == [(5, 5, 1, 20), (5, 5, 20, 50), (4, 4, 50, 100), (100, 10)]


def test_it_is_compiled_with_the_optimizer_of_the_config():
    model = load(optimizer="sgd", learning_rate=0.25)

    assert type(model.optimizer).__name__ == "SGD"
    assert float(model.optimizer.learning_rate) == 0.25
    assert model.loss == "categorical_crossentropy"


def test_the_readout_gives_probabilities():
    predictions = load(output_size=3).predict(np.zeros((2, 28, 28, 1)), verbose=0)

    np.testing.assert_allclose(predictions.sum(axis=1), 1, rtol=1e-5)


def test_larger_images_in_colour_fit_too():
    assert load((40, 32, 3)).output_shape == (None, 10)


@pytest.mark.parametrize("shape", [(12,), (27, 28, 1), (28, 28)])
def test_examples_that_are_too_small_or_no_images_are_a_sentence(shape):
    with pytest.raises(ConfigError, match="needs images of shape"):
        load(shape)
