import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deep_bottleneck.config import Config
from deep_bottleneck.config.dataset_options import DatasetOptions
from deep_bottleneck.datasets.changes import changed
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import Dataset, LabelledDataset


def images(n_train=100, n_test=40, n_classes=5):
    """Images whose first pixel is their number, labels in turn."""

    def part(n):
        pixels = np.arange(n * 6).reshape(n, 3, 2, 1)
        return LabelledDataset.from_labels(pixels, np.arange(n) % n_classes, n_classes)

    return Dataset(part(n_train), part(n_test), n_classes)


def numbers(part):
    return part.examples.reshape(len(part), -1)[:, 0] // 6


def chosen(**options):
    return changed(images(), DatasetOptions(**options))


def test_without_options_nothing_changes():
    dataset, same = images(), chosen()

    np.testing.assert_array_equal(same.train.examples, dataset.train.examples)
    np.testing.assert_array_equal(same.test.one_hot_labels, dataset.test.one_hot_labels)


def test_classes_are_renumbered_in_the_order_given():
    dataset = chosen(classes=[3, 1])

    assert dataset.n_classes == 2
    assert dataset.train.one_hot_labels.shape == (40, 2)
    old = numbers(dataset.test) % 5
    np.testing.assert_array_equal(dataset.test.labels, old == 1)
    assert set(old) == {1, 3}


def test_fewer_examples_are_always_the_same_ones_in_order():
    dataset, again = chosen(n_train=30, n_test=10), chosen(n_train=30)

    assert (len(dataset.train), len(dataset.test), len(again.test)) == (30, 10, 40)
    np.testing.assert_array_equal(dataset.train.examples, again.train.examples)
    assert (np.diff(numbers(dataset.train)) > 0).all()
    np.testing.assert_array_equal(dataset.train.labels, numbers(dataset.train) % 5)


@given(st.floats(0, 1))
def test_a_share_of_the_training_labels_is_replaced(share):
    dataset = images(n_train=1000)

    noisy = changed(dataset, DatasetOptions(label_noise=share))

    changes = (noisy.train.labels != dataset.train.labels).sum()
    # a random label is the right one in one of five cases
    assert changes <= round(1000 * share)
    assert changes == pytest.approx(800 * share, abs=60)
    np.testing.assert_array_equal(noisy.train.one_hot_labels.argmax(axis=1), noisy.train.labels)
    np.testing.assert_array_equal(noisy.test.labels, dataset.test.labels)


def test_images_become_vectors():
    dataset = chosen(flat=True)

    assert (dataset.input_shape, images().input_shape) == ((6,), (3, 2, 1))
    np.testing.assert_array_equal(dataset.train.examples[1], np.arange(6, 12))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"classes": [1, 5]}, r'"classes" has 5, but the classes of the data set are 0 to 4'),
        ({"n_train": 101}, '"n_train" is 101, but there are only 100 examples'),
        ({"n_test": 10, "classes": [0, 1], "n_train": 41}, "there are only 40 examples"),
    ],
)
def test_what_the_data_set_does_not_have(options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        chosen(**options)


def test_classes_without_an_example():
    few = images(n_train=3)

    with pytest.raises(ConfigError, match='no example is of the "classes" 3, 4'):
        changed(few, DatasetOptions(classes=[3, 4]))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"label_noise": 1.5}, r'"label_noise" should be less than or equal to 1$'),
        ({"flt": True}, r'has an unknown option "flt"; did you mean "flat"\?$'),
        ({"classes": [1, 1]}, r'"classes" should name each class only once$'),
        ({"classes": [1]}, r'"classes" should have at least 2 items'),
        ({"n_train": 0}, r'"n_train" should be greater than 0$'),
        (3, "should be an object with any of n_train, n_test, classes, label_noise, flat$"),
    ],
)
def test_mistakes_are_one_sentence(options, sentence):
    with pytest.raises(ConfigError, match=f'"dataset_options" is .* but {sentence}'):
        Config.parse({"dataset_options": options})
