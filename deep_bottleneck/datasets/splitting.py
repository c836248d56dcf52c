"""Split a data set for training and testing, the same way every time."""

from typing import Any

import numpy as np

from deep_bottleneck.interfaces import Dataset, LabelledDataset

SPLIT_SEED = 0
TRAIN_SHARE = 0.8


def train_test_split(
    examples: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], n_classes: int
) -> Dataset:
    """Split at random, 80 % for training and 20 % for testing.

    The split is drawn with `SPLIT_SEED`, not with the experiment's seed, so every experiment on a
    data set trains and tests on the same examples. Each part keeps the order of the examples.

    Args:
        examples: shape (n_examples, ...).
        labels: those of all classes, as `LabelledDataset.from_labels` takes them.
        n_classes: the number of classes.
    """
    n_examples = len(labels)
    whole = LabelledDataset.from_labels(examples, labels, n_classes)
    shuffled = np.random.default_rng(SPLIT_SEED).permutation(n_examples)
    train, test = np.split(shuffled, [round(TRAIN_SHARE * n_examples)])
    return Dataset(whole.selected(np.sort(train)), whole.selected(np.sort(test)), n_classes)
