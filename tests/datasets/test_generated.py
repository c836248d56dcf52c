import random
import sys

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

from deep_bottleneck.datasets import digits, mnist1d, parity, xor
from deep_bottleneck.errors import DataError


def whole(dataset):
    return (
        np.concatenate([dataset.train.examples, dataset.test.examples]),
        np.concatenate([dataset.train.labels, dataset.test.labels]),
    )


def test_digits_are_images_from_minus_1_to_1():
    dataset = digits.load()

    examples, labels = whole(dataset)
    assert (dataset.input_shape, len(examples), dataset.n_classes) == ((8, 8, 1), 1797, 10)
    assert (examples.min(), examples.max()) == (-1, 1)
    assert np.bincount(labels).min() > 170


def test_parity_of_all_patterns():
    examples, labels = whole(parity.load(n_bits=5))

    assert len(np.unique(examples, axis=0)) == 32
    assert np.unique(examples).tolist() == [-1, 1]
    np.testing.assert_array_equal(examples.prod(axis=1), 1 - 2 * ((5 - labels) % 2))


def test_no_input_alone_says_anything_about_the_parity():
    examples, labels = whole(parity.load())

    signs = 2 * labels - 1
    np.testing.assert_array_equal(signs @ examples, 0)


def test_parity_of_too_few_bits_is_refused():
    with pytest.raises(ValueError, match="n_bits is 2 but"):
        parity.load(n_bits=2)


def test_xor_is_the_sign_of_the_product():
    dataset = xor.load(noise=0)

    examples, labels = whole(dataset)
    assert (dataset.input_shape, len(dataset.train), len(dataset.test)) == ((2,), 800, 200)
    np.testing.assert_array_equal(labels, examples.prod(axis=1) < 0)
    assert labels.mean() == pytest.approx(0.5, abs=0.05)


def test_xor_with_noise_is_four_clouds():
    examples, _ = whole(xor.load())

    distances = np.abs(examples) - 1
    assert distances.std() == pytest.approx(0.2, abs=0.01)


def test_mnist1d_is_what_its_package_generates_and_leaves_the_global_seeds_alone():
    pytest.importorskip("mnist1d")
    random.seed(7)
    np.random.seed(7)  # noqa: NPY002
    expected = random.random(), np.random.random()  # noqa: NPY002, S311
    random.seed(7)
    np.random.seed(7)  # noqa: NPY002

    dataset = mnist1d.load()

    assert (random.random(), np.random.random()) == expected  # noqa: NPY002, S311
    assert (dataset.input_shape, len(dataset.train), len(dataset.test)) == ((40,), 4000, 1000)
    examples, labels = whole(dataset)
    assert examples.mean() == pytest.approx(0, abs=1e-4)
    assert examples.std() == pytest.approx(1, abs=1e-4)
    assert np.bincount(labels).tolist() == [500] * 10
    tree = DecisionTreeClassifier(max_depth=8, random_state=0)
    tree.fit(dataset.train.examples, dataset.train.labels)
    assert tree.score(dataset.test.examples, dataset.test.labels) > 0.2


def test_without_its_package_mnist1d_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "mnist1d.data", None)

    with pytest.raises(DataError, match="pip install mnist1d"):
        mnist1d.load()
