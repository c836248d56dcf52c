"""Arrays of one's own: an NPZ file with `x` and `y`, or with a split of its own.

`numpy.savez("mine.npz", x=x, y=y)` writes one. A split is `x_train`, `y_train`, `x_test`, `y_test`.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from deep_bottleneck.datasets import own
from deep_bottleneck.datasets.files import own_file
from deep_bottleneck.datasets.splitting import SPLIT_SEED, stratified_split
from deep_bottleneck.errors import DataError
from deep_bottleneck.interfaces import Dataset

FILES = ("path",)
TEST_SHARE = 0.2
_WHOLE = ("x", "y")
_SPLIT = ("x_train", "y_train", "x_test", "y_test")
_NO_ARRAYS = (EOFError, OSError, ValueError, zipfile.BadZipFile)


def load(
    path: str,
    standardize: bool = False,
    test_share: float | None = None,
    split_seed: int = SPLIT_SEED,
) -> Dataset:
    """The examples `x`, shape (n, ...), with their labels `y`: numbers or words, one for each.

    Where the file has no split, each class has the same share of both parts. Classes are numbered
    in ascending order of their labels.

    Args:
        path: the file; one that is not there is looked for in the folder that the environment
            variable `DEEP_BOTTLENECK_DATA` names.
        standardize: whether each input gets the mean 0 and the deviation 1 on the training part.
        test_share: the share of examples to test on, null for a fifth or for the file's own split.
        split_seed: where the lot starts that splits the examples; the seed of the experiment does
            not change it.

    Raises:
        ConfigError: if there is no such file.
        DataError: if the file has no such arrays, or a class is too rare to be split.
    """
    arrays = _read(own_file(path))
    if "x" in arrays:
        examples, labels = arrays["x"], arrays["y"]
        train, test = stratified_split(labels, test_share or TEST_SHARE, split_seed)
        return own.dataset(
            (examples[train], examples[test]), (labels[train], labels[test]), path, standardize
        )
    if test_share is not None:
        raise DataError(f'{path} has a split of its own, so "test_share" should be null')
    return own.dataset(
        (arrays["x_train"], arrays["x_test"]),
        (arrays["y_train"], arrays["y_test"]),
        path,
        standardize,
    )


def _read(path: Path) -> Mapping[str, np.ndarray[Any, Any]]:
    """The arrays of either kind, with labels of shape (n,)."""
    try:
        with path.open("rb") as file, np.load(file) as stored:
            names = getattr(stored, "files", None)
            if names is None:
                raise ValueError("it holds a single array")
            found = [kind for kind in (_WHOLE, _SPLIT) if set(kind) <= set(names)]
            if len(found) != 1:
                raise ValueError(f"its arrays are {', '.join(names)}")
            arrays = {name: stored[name] for name in found[0]}
    except _NO_ARRAYS as error:
        raise DataError(
            f"{path} is no file of arrays with either {' and '.join(_WHOLE)} or "
            f"{', '.join(_SPLIT)}: {error}"
        ) from error
    for x, y in zip(found[0][::2], found[0][1::2], strict=True):
        # Keras gives the labels of some data sets as a column
        arrays[y] = arrays[y].reshape(-1) if arrays[y].shape[1:] == (1,) else arrays[y]
        if arrays[y].ndim != 1 or len(arrays[x]) != len(arrays[y]):
            raise DataError(
                f"{path}: {y} has the shape {arrays[y].shape} and {x} {arrays[x].shape}, but there "
                "should be one label for each example"
            )
        own.check_labels(arrays[y], str(path))
    return arrays
