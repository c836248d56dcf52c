"""Mushroom: 8124 mushrooms by 22 of their features, edible or poisonous.

Schlimmer, "Mushroom", UCI Machine Learning Repository, 1987.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import fetch_openml

from deep_bottleneck.datasets.files import local_file, unavailable
from deep_bottleneck.datasets.splitting import train_test_split
from deep_bottleneck.errors import DataError
from deep_bottleneck.interfaces import Dataset

REFERENCES = ("schlimmer1987",)

FILE_NAME = "mushroom.csv"
CLASSES = ["class=e", "class=p"]
FORMAT = "a column of 0 and 1 for each feature and value, such as odor=a, with class=e and class=p"


def load() -> Dataset:
    """Inputs 0 or 1, one for each value of each feature; label 1 is poisonous; split 80/20.

    They are read from `mushroom.csv` in the folder that the environment variable
    `DEEP_BOTTLENECK_DATA` names; where there is none, scikit-learn downloads the table from OpenML.

    Raises:
        DataError: if there is no file and no network, or the file is not such a table.
    """
    path = local_file(FILE_NAME)
    table = _from_file(path) if path is not None and path.exists() else _downloaded(path)
    examples = table.drop(columns=CLASSES).to_numpy(np.float32)
    return train_test_split(examples, table["class=p"].to_numpy(np.int64), n_classes=2)


def _from_file(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not the mushroom table, with {FORMAT}: {error}") from error
    if not set(CLASSES) < set(table.columns) or not table.isin([0, 1]).all(axis=None):
        raise DataError(f"{path} is not the mushroom table, which has {FORMAT}")
    return table


def _downloaded(absent: Path | None) -> pd.DataFrame:
    try:
        table = fetch_openml("mushroom", version=1, as_frame=True).frame
    except Exception as error:
        wanted = f"{FILE_NAME}, {FORMAT}"
        raise DataError(unavailable("Mushroom", absent, wanted, error)) from error
    # OpenML has unknown values as missing ones
    return pd.get_dummies(table.astype(object).fillna("?").astype(str), prefix_sep="=", dtype=int)
