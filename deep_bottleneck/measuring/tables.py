"""Tables of an experiment: stored as CSV artifacts as soon as they are there, and kept to draw."""

import io
from pathlib import Path

import pandas as pd

from deep_bottleneck.interfaces import ArtifactRecord
from deep_bottleneck.machine.whole_file import write_whole

TEXTS = ("estimator", "parameter", "bounds", "part", "unit", "check", "measure")


def read_table(content: bytes) -> pd.DataFrame:
    """A stored table as it was before: what is text stays text, also where it is empty."""
    table = pd.read_csv(io.BytesIO(content), dtype=dict.fromkeys(TEXTS, str))
    return table.fillna(dict.fromkeys(TEXTS, ""))


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
