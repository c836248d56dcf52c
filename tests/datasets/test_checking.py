from dataclasses import replace

import numpy as np
import pytest

from deep_bottleneck.datasets import checking
from deep_bottleneck.errors import DataError
from deep_bottleneck.interfaces import Dataset, LabelledDataset


def part(n_examples, shape=(3,), n_classes=2):
    examples = np.zeros((n_examples, *shape), np.float32)
    return LabelledDataset.from_labels(examples, np.arange(n_examples) % n_classes, n_classes)


GOOD = part(4)
NAN = np.array([[0, 1, 2], [0, np.nan, 2], [0, 1, 2], [np.inf, 1, 2]], np.float32)


def test_a_good_data_set_passes():
    checking.check(Dataset(GOOD, part(2), 2), "datasets.mine")


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (part(0), "has no examples"),
        (replace(GOOD, examples=NAN), "has NaN or infinite values in 2 of 4 examples"),
        (replace(GOOD, labels=np.array([0, 1, 5, 1])), "has the label 5, which should be from 0"),
        (replace(GOOD, labels=np.array([0, -1, 1, 1])), "has the label -1"),
        (replace(GOOD, labels=GOOD.labels[:3]), r"has 4 examples but labels of the shape \(3,\)"),
        (replace(GOOD, one_hot_labels=np.eye(4)), r"has .* \(4, 4\), which should be \(4, 2\)"),
    ],
)
@pytest.mark.parametrize("which", ["train", "test"])
def test_what_is_wrong_with_a_part_is_one_sentence(which, changed, sentence):
    dataset = replace(Dataset(GOOD, GOOD, 2), **{which: changed})
    name = {"train": "training", "test": "test"}[which]

    with pytest.raises(DataError, match=f"datasets.mine: the {name} part {sentence}"):
        checking.check(dataset, "datasets.mine")


@pytest.mark.parametrize("n_classes", [0, 2.0, "2"])
def test_a_number_of_classes_is_a_whole_number(n_classes):
    with pytest.raises(
        DataError, match=r"datasets\.mine: n_classes is .* should be a whole number"
    ):
        checking.check(Dataset(GOOD, GOOD, n_classes), "datasets.mine")


def test_a_number_of_classes_may_be_numpys():
    dataset = Dataset(GOOD, GOOD, GOOD.labels.max() + 1)

    checking.check(dataset, "datasets.mine")

    assert type(dataset.n_classes) is int


def test_a_part_is_a_labelled_data_set():
    with pytest.raises(DataError, match="the test part is a tuple, which should be a Labelled"):
        checking.check(Dataset(GOOD, (GOOD.examples, GOOD.labels), 2), "datasets.mine")


def test_classes_are_called_alike_in_both_parts():
    """A test part without the label 2 would else take 1 for the second class."""
    train = LabelledDataset.from_labels(np.zeros((2, 3)), np.array([1, 2]), 2)
    test = LabelledDataset.from_labels(np.zeros((2, 3)), np.array([1, 1]), 2)

    with pytest.raises(DataError, match="called 1, 2 and those of test labels nothing but their"):
        checking.check(Dataset(train, test, 2), "datasets.mine")


def test_both_parts_have_examples_of_one_shape():
    with pytest.raises(DataError, match=r"the shape \(3,\) and test examples \(2, 2\)"):
        checking.check(Dataset(GOOD, part(4, (2, 2)), 2), "datasets.mine")


@pytest.mark.parametrize("label", [-2, 2, 0.5, np.nan])
def test_labels_are_whole_numbers_of_classes(label):
    with pytest.raises(ValueError, match=f"from 0 to 1, got {label}"):
        LabelledDataset.from_labels(np.zeros((2, 3)), np.array([0, label]), 2)


@pytest.mark.parametrize(
    "examples", [{"left": np.zeros((2, 3)), "right": np.zeros((2, 3))}, [[1, 2], [3]], "pixels"]
)
def test_examples_of_several_arrays_are_one_sentence(examples):
    with pytest.raises(ValueError, match="examples should be one array of numbers, got a "):
        LabelledDataset.from_labels(examples, np.array([0, 1]), 2)
