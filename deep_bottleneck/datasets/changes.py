"""Changes a data set as the config key "dataset_options" says: its size, classes, labels, shape."""

from dataclasses import replace

import numpy as np

from deep_bottleneck.config.dataset_options import DatasetOptions
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import Dataset, FloatArray, IntArray, LabelledDataset

# the same examples and labels are drawn in every experiment, whatever its seed
SEED = 0


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
    train = _some(train, options.n_train, "n_train")
    test = _some(test, options.n_test, "n_test")
    if options.label_noise > 0:
        labels = _noisy(train.labels, options.label_noise, n_classes)
        train = replace(train, labels=labels, one_hot_labels=_one_hot(labels, n_classes))
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
    names = tuple(part.class_names[number] for number in classes) if part.class_names else ()
    one_hot = _one_hot(labels[kept], len(classes))
    return LabelledDataset(part.examples[kept], labels[kept], one_hot, names)


def _some(part: LabelledDataset, number: int | None, name: str) -> LabelledDataset:
    if number is None:
        return part
    if number > len(part):
        raise ConfigError(
            f'"dataset_options": "{name}" is {number}, but there are only {len(part)} examples'
        )
    kept = np.sort(np.random.default_rng(SEED).permutation(len(part))[:number])
    return part.selected(kept)


def _one_hot(labels: IntArray, n_classes: int) -> FloatArray:
    return np.eye(n_classes, dtype=np.float32)[labels]


def _noisy(labels: IntArray, share: float, n_classes: int) -> IntArray:
    generator = np.random.default_rng(SEED)
    replaced = generator.permutation(len(labels))[: round(share * len(labels))]
    noisy = labels.copy()
    noisy[replaced] = generator.integers(n_classes, size=len(replaced))
    return noisy


def _flat(part: LabelledDataset) -> LabelledDataset:
    return replace(part, examples=part.examples.reshape(len(part), -1))
