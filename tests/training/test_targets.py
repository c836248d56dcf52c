import keras
import numpy as np
import pytest

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import LabelledDataset
from deep_bottleneck.training.targets import targets


def part(n_classes):
    return LabelledDataset.from_labels(np.ones((4, 3)), np.arange(4) % n_classes, n_classes)


def model(units, loss):
    made = keras.Sequential([keras.Input((3,)), keras.layers.Dense(units, name="out")], name="net")
    made.compile("sgd", loss)
    return made


def of_ones_own(labels, outputs):
    return keras.ops.mean((labels - outputs) ** 2)


def test_a_sparse_loss_takes_the_classes_and_others_one_number_for_each():
    labels = part(3)

    sparse = keras.losses.SparseCategoricalCrossentropy()
    np.testing.assert_array_equal(targets(model(3, sparse), labels), [0, 1, 2, 0])
    np.testing.assert_array_equal(targets(model(3, "mse"), labels), np.eye(3)[[0, 1, 2, 0]])


@pytest.mark.parametrize(
    "loss", ["binary_crossentropy", keras.losses.BinaryFocalCrossentropy(), "hinge", of_ones_own]
)
def test_one_unit_tells_two_classes_apart(loss):
    np.testing.assert_array_equal(targets(model(1, loss), part(2)), [[0], [1], [0], [1]])


@pytest.mark.parametrize("loss", ["mse", keras.losses.Huber(), "categorical_crossentropy"])
def test_one_unit_with_a_loss_of_something_else_is_one_sentence(loss):
    with pytest.raises(ConfigError, match="has one output unit and the loss"):
        targets(model(1, loss), part(2))


def test_one_unit_for_three_classes_is_one_sentence():
    with pytest.raises(ConfigError, match="can tell two classes apart, but the data set has 3"):
        targets(model(1, "binary_crossentropy"), part(3))
