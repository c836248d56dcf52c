"""The local record of an experiment that has ended, to which results can be added."""

import json
import shutil
from pathlib import Path
from typing import Any

from deep_bottleneck.errors import RecordError


class EndedRecord:
    """A folder as the local record leaves it.

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
        self.config = self._read("config.json")
        self._read("run.json")

    @property
    def artifacts(self) -> list[str]:
        """The names of what was stored."""
        names: list[str] = self._read("run.json").get("artifacts", [])
        return names

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
        path = Path(filename)
        shutil.copyfile(path, self.folder / f"{name}{path.suffix}")
        entry = self._read("run.json")
        entry.setdefault("artifacts", []).append(name)
        unfinished = self.folder / ".run.json.unfinished"
        unfinished.write_text(json.dumps(entry, sort_keys=True, indent=2))
        unfinished.replace(self.folder / "run.json")

    def log_scalar(self, name: str, value: float, step: int) -> None:
        """Refuse: the metrics of an experiment end with it."""
        raise RecordError(f"{self.folder}: the experiment has ended, {name} cannot be logged")

    def _read(self, name: str) -> dict[str, Any]:
        path = self.folder / name
        try:
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RecordError(f"{self.folder} is no experiment: there is no {name}") from None
        except (OSError, ValueError) as error:
            raise RecordError(f"{path} cannot be read: {error}") from None
        return content
