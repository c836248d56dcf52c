"""What an experiment may change about any data set: its size, classes, labels and shape."""

from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, field_validator

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import Dataset, IntArray, LabelledDataset

# the same examples and labels are drawn in every experiment, whatever its seed
SEED = 0


class DatasetOptions(BaseModel):
    """The config key "dataset_options"; what is left out changes nothing.

    Attributes:
        n_train: how many of the training examples to keep, drawn at random.
        n_test: how many of the test examples to keep.
        classes: the classes to keep; they become 0, 1, ... in this order.
        label_noise: the share of training labels that are replaced by a random class, which may be
            the right one: at 1 there is nothing left to learn but to memorise (Zhang et al. 2017,
            "Understanding deep learning requires rethinking generalization", section 2.1).
        flat: whether an example is a vector, where it would be an image.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    n_train: PositiveInt | None = Field(None, strict=True)
    n_test: PositiveInt | None = Field(None, strict=True)
    classes: tuple[Annotated[int, Field(strict=True, ge=0)], ...] | None = Field(None, min_length=2)
    label_noise: float = Field(0.0, ge=0, le=1, strict=True)
    flat: bool = Field(False, strict=True)

    @field_validator("classes")
    @classmethod
    def _classes_differ(cls, classes: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if classes is not None and len(set(classes)) < len(classes):
            raise ValueError("should name each class only once")
        return classes


def changed(dataset: Dataset, options: DatasetOptions) -> Dataset:
    """The data set as the options want it.

    Classes are chosen first, then examples, then labels are replaced. What is kept stays in its
    order.

    Raises:
        ConfigError: if the data set has no such class, none of its examples, or not so many
            examples.
    """
    train, test, n_classes = dataset.train, dataset.test, dataset.n_classes
    if options.classes is not None:
        train = _of_classes(train, options.classes, n_classes)
        test = _of_classes(test, options.classes, n_classes)
        n_classes = len(options.classes)
    train = _some(train, options.n_train, "n_train", n_classes)
    test = _some(test, options.n_test, "n_test", n_classes)
    if options.label_noise > 0:
        labels = _noisy(train.labels, options.label_noise, n_classes)
        train = LabelledDataset.from_labels(train.examples, labels, n_classes)
    if options.flat:
        train, test = _flat(train), _flat(test)
    return Dataset(train, test, n_classes)


def _of_classes(part: LabelledDataset, classes: tuple[int, ...], n_classes: int) -> LabelledDataset:
    if max(classes) >= n_classes:
        raise ConfigError(
            f'"dataset_options": "classes" has {max(classes)}, but the classes of the data set are '
            f"0 to {n_classes - 1}"
        )
    new_labels = np.full(n_classes, -1)
    new_labels[list(classes)] = np.arange(len(classes))
    labels = new_labels[part.labels]
    kept = labels >= 0
    if not kept.any():
        raise ConfigError(
            f'"dataset_options": no example is of the "classes" {", ".join(map(str, classes))}'
        )
    return LabelledDataset.from_labels(part.examples[kept], labels[kept], len(classes))


def _some(part: LabelledDataset, number: int | None, name: str, n_classes: int) -> LabelledDataset:
    if number is None:
        return part
    if number > len(part):
        raise ConfigError(
            f'"dataset_options": "{name}" is {number}, but there are only {len(part)} examples'
        )
    kept = np.sort(np.random.default_rng(SEED).permutation(len(part))[:number])
    return LabelledDataset.from_labels(part.examples[kept], part.labels[kept], n_classes)


def _noisy(labels: IntArray, share: float, n_classes: int) -> IntArray:
    generator = np.random.default_rng(SEED)
    replaced = generator.permutation(len(labels))[: round(share * len(labels))]
    noisy = labels.copy()
    noisy[replaced] = generator.integers(n_classes, size=len(replaced))
    return noisy


def _flat(part: LabelledDataset) -> LabelledDataset:
    return LabelledDataset(part.examples.reshape(len(part), -1), part.labels, part.one_hot_labels)
