"""Split a data set for training and testing, the same way every time."""

from typing import Any

import numpy as np
from sklearn import model_selection

from deep_bottleneck.errors import DataError
from deep_bottleneck.interfaces import Dataset, IntArray, LabelledDataset

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


def stratified_split(
    labels: np.ndarray[Any, Any], test_share: float, seed: int
) -> tuple[IntArray, IntArray]:
    """Split at random, each class by the same share.

    Args:
        labels: of any kind, shape (n_examples,).
        test_share: the share of the examples to test on.
        seed: where the lot starts; one seed gives one split.

    Returns:
        The places of the examples for training and for testing, in ascending order.

    Raises:
        DataError: if a part would have no example of a class.
    """
    if not 0 < test_share < 1:
        raise DataError(f'"test_share" is {test_share:g}, which should be between 0 and 1')
    try:
        train, test = model_selection.train_test_split(
            np.arange(len(labels)), test_size=test_share, random_state=seed, stratify=labels
        )
    except ValueError:
        classes, counts = np.unique(labels, return_counts=True)
        raise DataError(
            f"{len(labels)} examples cannot be split so that both parts have all classes; of the "
            f"rarest, {classes[counts.argmin()]}, there are {counts.min()}"
        ) from None
    return np.sort(train), np.sort(test)
