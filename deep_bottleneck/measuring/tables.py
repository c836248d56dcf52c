"""Tables of an experiment: stored as CSV artifacts as soon as they are there, and kept to draw."""

import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deep_bottleneck.config.hyperparameters import OLD_PART_NAMES
from deep_bottleneck.errors import RecordError
from deep_bottleneck.interfaces import ArtifactRecord
from deep_bottleneck.machine.whole_file import write_whole
from deep_bottleneck.storage.names import INFORMATION

TEXTS = (
    "estimator",
    "parameter",
    "bounds",
    "part",
    "unit",
    "module",
    "options",
    "check",
    "measure",
    "name",
)


# what the column of layers' names was called
_EARLIER_COLUMN = "layer_name"
# such as "kraskov_3_algorithm_2": no module is taken for the parameter of another one
_EARLIER_NAME = re.compile(r"(.+?)_(-?\d[\d.e+-]*)(?:_(.*))?")


# what every table of mutual information has, in numbers
NUMBERS = ("run", "epoch", "layer", "MI_XM", "MI_YM")


def read_table(content: bytes, name: str = "the table") -> pd.DataFrame:
    """A stored table as it was before: what is text stays text, also where it is empty.

    The names of layers, "" where an earlier version stored none, are in the column name.

    Args:
        content: what its file holds.
        name: what it is called where it cannot be read.

    Raises:
        RecordError: if that is no table.
    """
    texts = dict.fromkeys((*TEXTS, _EARLIER_COLUMN), str)
    try:
        table = with_names(pd.read_csv(io.BytesIO(content), dtype=texts))
    except ValueError as error:
        raise RecordError(f"{name} cannot be read as a table: {error}") from None
    return table.fillna(dict.fromkeys(TEXTS, ""))


def with_names(table: pd.DataFrame) -> pd.DataFrame:
    """A table of this or an earlier version, with a column name beside layer."""
    table = table.rename(columns={_EARLIER_COLUMN: "name"})
    if "layer" in table and "name" not in table:
        table.insert(table.columns.tolist().index("layer") + 1, "name", "")
    return table


def is_information(name: str) -> bool:
    """Whether an artifact of this name is a table of mutual information."""
    return f"{name}_".startswith(INFORMATION)


def read_information(name: str, content: bytes) -> pd.DataFrame:
    """A stored table of mutual information that says what it is of.

    Tables of earlier versions say nothing of module, discretization_range, options or part; what
    their artifacts are called does.

    Args:
        name: the name of the artifact.
        content: what it holds.

    Raises:
        RecordError: if it holds something else.
    """
    table = read_table(content, name)
    if not content.endswith(b"\n"):
        raise RecordError(f"{name} cannot be read: it is cut short")
    for column in NUMBERS:
        if column not in table or not pd.api.types.is_numeric_dtype(table[column]):
            raise RecordError(f"{name} cannot be read: it has no numbers {column}")
    estimator, _, part = f"{name}_".removeprefix(INFORMATION).removesuffix("_").rpartition("_")
    found = _EARLIER_NAME.fullmatch(estimator)
    module, parameter, options = found.groups("") if found else (estimator, np.nan, "")
    said_by_name: dict[str, str | float] = {
        "part": part,
        "module": module,
        "discretization_range": float(parameter),
        "options": options,
    }
    return table.assign(**{key: v for key, v in said_by_name.items() if key not in table})


def read_growing(name: str, content: bytes) -> pd.DataFrame:
    """What a table of mutual information has that is written epoch by epoch: its whole epochs.

    Args:
        name: the name that its artifact will have.
        content: what its file holds by now, of which the last epoch may be cut short.

    Returns:
        As `read_information`, in the same order; nothing before there is a row.

    Raises:
        RecordError: if it holds something else.
    """
    lines = content[: content.rfind(b"\n") + 1]
    if lines.count(b"\n") < 2:
        return pd.DataFrame()
    table = read_information(name, lines)
    of_epoch = table.groupby(["run", "epoch"])["layer"].transform("size")
    whole = table[of_epoch == table["layer"].nunique()]
    return whole.sort_values(["run", "epoch", "layer"], ignore_index=True)


def with_method(table: pd.DataFrame, config: Mapping[str, Any]) -> pd.DataFrame:
    """A table of mutual information that says how it was measured, as one of the original does not.

    Args:
        table: as `read_information` gives it.
        config: the hyperparameters of its experiment, which had one estimator and one parameter.
    """
    if "estimator" in table:
        return table
    estimator, parameter = config.get("estimator"), config.get("discretization_range")
    module = estimator.rpartition(".")[2] if isinstance(estimator, str) else ""
    known = isinstance(parameter, int | float)
    part = config.get("calculate_mi_for")
    said: dict[str, Any] = {
        "estimator": module,
        "parameter": f"{parameter:g}" if known else "",
        "module": module,
        "discretization_range": parameter if known else np.nan,
    }
    if not table.empty and not table["part"].iloc[0] and isinstance(part, str):
        said["part"] = OLD_PART_NAMES.get(part, part)
    return table.assign(**said)


class Tables:
    """Stores tables and remembers them by name.

    Attributes:
        by_name: what was added so far, by the name of its artifact.
    """

    def __init__(self, record: ArtifactRecord, folder: Path) -> None:
        """Store into a record.

        Args:
            record: where the artifacts go.
            folder: where files are kept on their way there.
        """
        self._record = record
        self._folder = folder
        self.by_name: dict[str, pd.DataFrame] = {}

    def append(self, name: str, rows: pd.DataFrame) -> None:
        """Write rows of a table that still grows into the folder, where they outlive a kill.

        Args:
            name: under which `add` will store the whole table.
            rows: with the same columns each time.
        """
        path = self._folder / f"{name}.csv"
        rows.to_csv(path, mode="a", header=not path.exists(), index=False)

    def add(self, name: str, table: pd.DataFrame) -> None:
        """Store a table as the artifact `name`, a CSV file, and remember it."""
        path = self._folder / f"{name}.csv"
        write_whole(path, table.to_csv(index=False))
        self._record.add_artifact(str(path), name=name)
        self.by_name[name] = table
