"""What data sets that are read from files of a user's own have in common: classes and scales."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from deep_bottleneck.errors import DataError
from deep_bottleneck.interfaces import Dataset, LabelledDataset

# so much further that the other hardly decides which examples are near each other
FAR_APART = 100

Arrays = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]

logger = logging.getLogger(__name__)


def dataset(
    examples: Arrays, labels: Arrays, name: str, standardize: bool, columns: Sequence[str] = ()
) -> Dataset:
    """A data set of arrays for training and for testing.

    The classes are the labels in ascending order. An input that spreads a hundred times as far as
    another is said in the log.

    Args:
        examples: for training and for testing, shape (n_examples, ...).
        labels: for training and for testing, shape (n_examples,).
        name: the file, for messages.
        standardize: whether to give each input the mean 0 and the deviation 1 on the training part.
        columns: what the inputs are called, where examples are vectors; their numbers if nothing.

    Raises:
        DataError: if float32 cannot tell the values of an input apart.
    """
    classes = np.unique(np.concatenate(labels)).tolist()
    train, test = _deviations(*examples) if standardize else examples
    _tell_scales(train, name, columns or list(map(str, range(train[0].size))))
    return Dataset(
        LabelledDataset.from_labels(train, labels[0], len(classes), classes),
        LabelledDataset.from_labels(test, labels[1], len(classes), classes),
        len(classes),
    )


def check_labels(labels: np.ndarray[Any, Any], name: str) -> None:
    """Make sure that labels are classes.

    Raises:
        DataError: if they are fractions.
    """
    if labels.dtype.kind == "f" and (labels % 1).any():
        fraction = labels[labels % 1 != 0][0]
        raise DataError(f"{name}: a label is {fraction:g}, and fractions are no classes")


def _deviations(train: np.ndarray[Any, Any], test: np.ndarray[Any, Any]) -> Arrays:
    """Deviations from the mean, in units of the standard deviation, both of the training part.

    An input that is constant there has the unit 1.
    """
    mean, deviation = train.mean(axis=0, dtype=np.float64), train.std(axis=0, dtype=np.float64)
    unit = np.where(deviation > 0, deviation, 1)
    return (train - mean) / unit, (test - mean) / unit


def _tell_scales(examples: np.ndarray[Any, Any], name: str, columns: Sequence[str]) -> None:
    """Say where an input spreads much further than another, or is lost in float32."""
    if examples.ndim != 2:
        return
    spreads = examples.std(axis=0, dtype=np.float64)
    steps = np.spacing(np.abs(examples).max(axis=0).astype(np.float32))
    varying = np.flatnonzero(spreads)
    lost = varying[steps[varying] > spreads[varying] / FAR_APART]
    if lost.size:
        raise DataError(
            f'{name}: the column "{columns[lost[0]]}" varies by {spreads[lost[0]]:.2g} around '
            f"values so large that float32 cannot tell them apart; standardize it, with "
            '{"standardize": true}'
        )
    ordered = varying[np.argsort(spreads[varying])]
    if ordered.size and spreads[ordered[-1]] >= FAR_APART * spreads[ordered[0]]:
        logger.warning(
            '%s: the column "%s" spreads %.0f times as far as "%s", which hardly counts beside it; '
            '{"standardize": true} gives each the deviation 1',
            name,
            columns[ordered[-1]],
            spreads[ordered[-1]] / spreads[ordered[0]],
            columns[ordered[0]],
        )
