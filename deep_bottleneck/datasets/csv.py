"""A table of one's own: a CSV, TSV or Parquet file, one column of which holds the labels.

All other columns are inputs, and have to be numbers.
"""

import difflib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from deep_bottleneck.datasets import own
from deep_bottleneck.datasets.files import own_file
from deep_bottleneck.datasets.splitting import SPLIT_SEED, stratified_split
from deep_bottleneck.errors import ConfigError, DataError
from deep_bottleneck.interfaces import Dataset

FILES = ("path",)
_TABS = (".tsv", ".tab")


def load(
    path: str,
    label: str | int,
    drop: Sequence[str | int] = (),
    standardize: bool = False,
    test_share: float = 0.2,
    split_seed: int = SPLIT_SEED,
    separator: str | None = None,
    header: bool | None = None,
) -> Dataset:
    """The rows of the table, split so that each class has the same share of both parts.

    Classes are numbered in ascending order of their labels. A missing value ends in an error that
    names its column. `pip install pyarrow` lets Parquet be read.

    Args:
        path: the file; one that is not there is looked for in the folder that the environment
            variable `DEEP_BOTTLENECK_DATA` names.
        label: the column of the labels, by its name or by its number from 0; -1 is the last.
        drop: columns to leave out, by name or number.
        standardize: whether each input gets the mean 0 and the deviation 1 on the training part.
        test_share: the share of rows to test on.
        split_seed: where the lot starts that splits the rows; the seed of the experiment does not
            change it.
        separator: what stands between two columns; null for a tab in `.tsv` and a comma else.
        header: whether the first line names the columns; null where that can be seen.

    Raises:
        ConfigError: if there is no such file or column.
        DataError: if the file is no such table, a value is missing or is no number, or a class is
            too rare to be split.
    """
    table = _read(own_file(path), separator, header)
    outputs = table[_column(table, path, label, "label")]
    left_out = [outputs.name, *(_column(table, path, one, "drop") for one in drop)]
    inputs = table.drop(columns=left_out)
    _check(inputs, outputs, path)
    labels, examples = outputs.to_numpy(), inputs.to_numpy(np.float64)
    own.check_labels(labels, path)
    train, test = stratified_split(labels, test_share, split_seed)
    return own.dataset(
        (examples[train], examples[test]),
        (labels[train], labels[test]),
        path,
        standardize,
        list(inputs.columns),
    )


def _read(path: Path, separator: str | None, header: bool | None) -> pd.DataFrame:
    """The table, with text as names of its columns."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if ".npz" in suffixes:
        raise ConfigError(f'"dataset": {path} holds arrays, which datasets.npz reads')
    try:
        # what pandas would only warn of is a loss of data
        with warnings.catch_warnings(action="error", category=pd.errors.ParserWarning):
            if ".parquet" in suffixes:
                table = pd.read_parquet(path)
            else:
                table = pd.read_csv(
                    path,
                    sep=separator or ("\t" if set(_TABS) & set(suffixes) else ","),
                    header=None if header is False else 0,
                    index_col=False,
                    low_memory=False,
                )
    except ImportError:
        raise DataError(f"{path}: Parquet is read with pyarrow: pip install pyarrow") from None
    except (OSError, ValueError, Warning) as error:
        raise DataError(f"{path} is no table that can be read: {error}") from error
    names = table.columns = table.columns.map(str)
    if header is None and any(_is_number(name) for name in names):
        raise DataError(
            f"{path}: the first line has the number {next(filter(_is_number, names))}, so it may "
            'be no names of columns; say {"header": false}, or true'
        )
    unnamed = [name for name in names if name.startswith("Unnamed: ")]
    if unnamed:
        raise DataError(
            f"{path}: the column {names.get_loc(unnamed[0])} has no name, as one that only numbers "
            "the rows; give it one"
        )
    return table


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


def _column(table: pd.DataFrame, path: str, column: str | int, option: str) -> str:
    """The name of a column, which may be given by its number."""
    names = list(table.columns)
    if isinstance(column, int) and -len(names) <= column < len(names):
        return names[column]
    if column in names:
        return str(column)
    close = difflib.get_close_matches(str(column), names, n=1)
    hint = f'did you mean "{close[0]}"?' if close else f"its columns are {', '.join(names)}"
    raise ConfigError(f'"dataset": {path} has no column {column!r} as "{option}"; {hint}')


def _check(inputs: pd.DataFrame, outputs: "pd.Series[Any]", path: str) -> None:
    """Make sure that there are inputs, all of them numbers, and that nothing is missing."""
    if inputs.columns.empty:
        raise DataError(
            f'{path} has no other column than "{outputs.name}"; its columns may be separated by '
            'something else, which {"separator": ";"} says'
        )
    missing = inputs.assign(**{str(outputs.name): outputs}).isna().sum()
    if missing.any():
        listed = ", ".join(f'"{name}" {number}' for name, number in missing[missing > 0].items())
        raise DataError(f"{path} has missing values, by column: {listed}; fill or drop them")
    for name in inputs.columns:
        if not types.is_numeric_dtype(inputs[name]):
            raise DataError(
                f'{path}: the column "{name}" has {inputs[name].iloc[0]!r}, which is no number; '
                f'make numbers of it, or leave it out with {{"drop": ["{name}"]}}'
            )
