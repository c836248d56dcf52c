"""Where recorders of a watch leave their tables and metrics, before anything is stored."""

from collections import defaultdict
from pathlib import Path

import pandas as pd


class Notes:
    """A record in memory: what recorders take for the run, and for its tables.

    Attributes:
        tables: the tables by name, as far as they have grown.
        scalars: the values of each metric by their steps.
        files: artifacts by name.
    """

    def __init__(self) -> None:
        self.tables: dict[str, pd.DataFrame] = {}
        self.scalars: defaultdict[str, dict[int, float]] = defaultdict(dict)
        self.files: dict[str, Path] = {}

    def append(self, name: str, rows: pd.DataFrame) -> None:
        """Nothing: a recorder keeps its rows until it is asked for them."""

    def add(self, name: str, table: pd.DataFrame) -> None:
        """Keep a table in place of an earlier one of this name."""
        self.tables[name] = table

    def log_scalar(self, name: str, value: float, step: int) -> None:
        """Keep a value of a metric."""
        self.scalars[name][step] = value

    def add_artifact(self, filename: str, name: str) -> None:
        """Keep where a file is."""
        self.files[name] = Path(filename)
