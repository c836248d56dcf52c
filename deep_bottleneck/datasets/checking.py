"""Whether a data set can be trained on, asked as soon as it is loaded."""

import numpy as np

from deep_bottleneck.errors import DataError
from deep_bottleneck.interfaces import Dataset, LabelledDataset


def check(dataset: Dataset, name: str) -> None:
    """Make sure that both parts of a data set hold what they should.

    Args:
        dataset: the data set.
        name: what to call it in errors.

    Raises:
        DataError: if a part is empty or no `LabelledDataset`, its arrays differ in length, an
            example is not finite, a label is no class, or the examples of the two parts differ in
            shape or in what their classes are called.
    """
    if not isinstance(dataset.n_classes, int) or dataset.n_classes < 1:
        raise DataError(
            f"{name}: n_classes is {dataset.n_classes!r}, which should be a whole number from 1"
        )
    for part, labelled in (("training", dataset.train), ("test", dataset.test)):
        mistake = _mistake(labelled, dataset.n_classes)
        if mistake:
            raise DataError(f"{name}: the {part} part {mistake}")
    shapes = dataset.train.examples.shape[1:], dataset.test.examples.shape[1:]
    if shapes[0] != shapes[1]:
        raise DataError(
            f"{name}: training examples have the shape {shapes[0]} and test examples {shapes[1]}, "
            "which should be the same"
        )

    names = dataset.train.class_names, dataset.test.class_names
    if names[0] != names[1]:
        called = [", ".join(of_part) or "nothing but their numbers" for of_part in names]
        raise DataError(
            f"{name}: the classes of training labels are called {called[0]} and those of test "
            f"labels {called[1]}; give all of them to from_labels of both parts as classes"
        )


def _mistake(part: object, n_classes: int) -> str:
    if not isinstance(part, LabelledDataset):
        return f"is a {type(part).__name__}, which should be a LabelledDataset"
    n_examples = len(part.examples)
    if not n_examples:
        return "has no examples"
    if part.labels.shape != (n_examples,):
        return f"has {n_examples} examples but labels of the shape {part.labels.shape}"
    if part.one_hot_labels.shape != (n_examples, n_classes):
        return (
            f"has one-hot labels of the shape {part.one_hot_labels.shape}, which should be "
            f"{(n_examples, n_classes)}, examples by classes"
        )
    outside = part.labels[(part.labels < 0) | (part.labels >= n_classes)]
    if outside.size:
        return f"has the label {outside[0]}, which should be from 0 to {n_classes - 1}"
    finite = np.isfinite(part.examples.reshape(n_examples, -1)).all(axis=1)
    if not finite.all():
        return f"has NaN or infinite values in {np.sum(~finite)} of {n_examples} examples"
    return ""
