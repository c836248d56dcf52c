import numpy as np

from deep_bottleneck.datasets import iris


def test_flowers_are_scaled_and_split():
    dataset = iris.load()

    examples = np.concatenate([dataset.train.examples, dataset.test.examples])
    np.testing.assert_array_equal(examples.min(axis=0), np.zeros(4))
    np.testing.assert_array_equal(examples.max(axis=0), np.ones(4))
    assert (len(dataset.train), len(dataset.test), dataset.n_classes) == (120, 30, 3)
    labels = np.concatenate([dataset.train.labels, dataset.test.labels])
    assert np.bincount(labels).tolist() == [50, 50, 50]


def test_the_split_is_always_the_same():
    first, second = iris.load(), iris.load()

    np.testing.assert_array_equal(first.test.examples, second.test.examples)
    assert np.bincount(first.test.labels).min() > 5
