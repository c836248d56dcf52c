"""Labels of any kind become numbers of classes, and the classes keep their names."""

import numpy as np
import pandas as pd
import pytest

from deep_bottleneck.config.dataset_options import DatasetOptions
from deep_bottleneck.datasets.changes import changed
from deep_bottleneck.datasets.splitting import train_test_split
from deep_bottleneck.interfaces import Dataset, LabelledDataset


def labelled(labels, n_classes=2, **options):
    return LabelledDataset.from_labels(np.zeros((len(labels), 3)), labels, n_classes, **options)


WORDS = np.array(["dog", "cat", "dog", "dog"])


@pytest.mark.parametrize(
    ("labels", "numbers", "names"),
    [
        (np.array([0, 1, 0, 0]), [0, 1, 0, 0], ()),
        (np.array([0.0, 1.0, 0.0, 0.0], np.float32), [0, 1, 0, 0], ()),
        (np.array([1, 1, 1, 1]), [1, 1, 1, 1], ()),
        (np.array([1, 2, 1, 1]), [0, 1, 0, 0], ("1", "2")),
        (np.array([-1, 0, -1, -1]), [0, 1, 0, 0], ("-1", "0")),
        (np.array([True, True, True, True]), [1, 1, 1, 1], ()),
        (WORDS, [1, 0, 1, 1], ("cat", "dog")),
        (WORDS.astype(object), [1, 0, 1, 1], ("cat", "dog")),
        (WORDS.astype("S"), [1, 0, 1, 1], ("cat", "dog")),
        (WORDS.tolist(), [1, 0, 1, 1], ("cat", "dog")),
        (pd.Series(WORDS, index=[7, 8, 9, 3]), [1, 0, 1, 1], ("cat", "dog")),
        (pd.Series(WORDS, dtype="string"), [1, 0, 1, 1], ("cat", "dog")),
        (pd.Series([3, 4, 3, 3], dtype="Int64"), [0, 1, 0, 0], ("3", "4")),
        (pd.Categorical(["no"] * 4, categories=["yes", "no"]), [1, 1, 1, 1], ("yes", "no")),
        (pd.Series(WORDS).astype("category"), [1, 0, 1, 1], ("cat", "dog")),
    ],
)
def test_labels_of_any_kind(labels, numbers, names):
    found = labelled(labels)

    assert found.labels.dtype == np.int64
    assert found.labels.tolist() == numbers
    assert found.one_hot_labels.argmax(axis=1).tolist() == numbers
    assert found.class_names == names


@pytest.mark.parametrize("labels", [["cat", "cat"], [1, 1], pd.Categorical(["cat", "cat"])])
def test_a_part_without_a_class_numbers_it_as_all_classes_say(labels):
    names = ["ape", *pd.unique(np.asarray(labels))]

    assert labelled(labels, classes=names).labels.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (["cat", "cat"], "of 2 classes, got 1: cat; say all of them as classes"),
        (["cat", "dog", "ape"], "of 2 classes, got 3: ape, cat, dog"),
        (["cat", None], "none of them missing, got mixed ones"),
        (np.array(["cat", 1], object), "numbers, words, truth values or categories"),
        (pd.Categorical(["cat", None, "dog"]), "one of cat, dog, got nan"),
        (pd.Series([0, 1, None]), "whole numbers from 0 to 1, got nan"),
        ([0.5, 1.5], "one of 0, 1, got 0.5|whole numbers from 0 to 1, got 0.5"),
        ([[0], [1]], r"one for each example, got the shape \(2, 1\)"),
    ],
)
def test_what_stands_for_no_class_is_one_sentence(labels, sentence):
    with pytest.raises(ValueError, match=sentence):
        labelled(labels)


def test_a_split_numbers_both_parts_alike():
    words = np.array(["only once", *["again"] * 9])

    dataset = train_test_split(np.zeros((10, 2)), words, 2)

    assert dataset.class_names == ("again", "only once")
    assert sum(dataset.train.labels) + sum(dataset.test.labels) == 1
    assert dataset.train.class_names == dataset.test.class_names


def test_changes_keep_names():
    part = labelled(["ape", "cat", "dog", "cat"], 3)
    options = DatasetOptions(classes=[2, 1], n_train=2, label_noise=0.5, flat=True)

    dataset = changed(Dataset(part, part, 3), options)

    assert dataset.class_names == ("dog", "cat")
    assert dataset.test.labels.tolist() == [1, 0, 1]


def test_classes_without_names_are_called_by_their_numbers():
    part = labelled([0, 1, 2], 3)

    assert Dataset(part, part, 3).class_names == ("0", "1", "2")
