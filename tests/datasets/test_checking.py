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


def test_both_parts_have_examples_of_one_shape():
    with pytest.raises(DataError, match=r"the shape \(3,\) and test examples \(2, 2\)"):
        checking.check(Dataset(GOOD, part(4, (2, 2)), 2), "datasets.mine")


@pytest.mark.parametrize("label", [-1, 2, 0.5])
def test_labels_are_whole_numbers_of_classes(label):
    with pytest.raises(ValueError, match=f"from 0 to 1, got {label}"):
        LabelledDataset.from_labels(np.zeros((2, 3)), np.array([0, label]), 2)
