"""The local record of an experiment that has ended, to which results can be added."""

from pathlib import Path
from typing import Any

from deep_bottleneck.errors import RecordError
from deep_bottleneck.records.local import CONFIG_FILE, LocalStore, read_json


class EndedRecord:
    """One folder of a `LocalStore` as the `Record` that tables and figures are stored in.

    Attributes:
        folder: the folder of the experiment.
        config: the hyperparameters it ran with.
    """

    def __init__(self, folder: Path) -> None:
        """Read a record.

        Raises:
            RecordError: if there is none, or it cannot be read.
        """
        self.folder = folder
        self._store = LocalStore(folder.parent)
        self.config: dict[str, Any] = read_json(folder / CONFIG_FILE)
        self._store.check(folder.name)

    @property
    def artifacts(self) -> list[str]:
        """The names of what was stored."""
        return list(self._store.document(self.folder.name).get("artifacts", []))

    @property
    def status(self) -> str:
        """How it ended, such as COMPLETED; RUNNING where it was killed."""
        return str(self._read("run.json").get("status"))

    @property
    def sources(self) -> tuple[tuple[str, str], ...]:
        """The name of each source file, and where its content is kept."""
        experiment = self._read("run.json").get("experiment", {})
        return tuple((name, kept) for name, kept in experiment.get("sources", ()))

    def add_artifact(self, filename: str, name: str) -> None:
        """Store a copy of a file under a name, which must be new."""
        self._store.attach(self.folder.name, Path(filename), name)

    def log_scalar(self, name: str, value: float, step: int) -> None:
        """Refuse: the metrics of an experiment end with it."""
        raise RecordError(f"{self.folder}: the experiment has ended, {name} cannot be logged")
