"""Which experiments are stored already, with the same config and the same code.

Those that are complete need not be run again, and those that left a checkpoint can go on from it.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deep_bottleneck import sources
from deep_bottleneck.config import Config
from deep_bottleneck.ended_record import EndedRecord
from deep_bottleneck.errors import ConfigError, RecordError
from deep_bottleneck.settings import CHECKPOINT

SILENT_AFTER_SECONDS = 60


@dataclass(frozen=True)
class _Stored:
    """An experiment's folder, status and config, and what Sacred kept of its code."""

    folder: Path
    status: str
    config: Config
    sources: tuple[tuple[str, str], ...]

    @property
    def can_go_on(self) -> bool:
        """Whether it has ended before its end, and left a checkpoint."""
        silent = time.time() - (self.folder / "run.json").stat().st_mtime
        alive = self.status == "RUNNING" and silent < SILENT_AFTER_SECONDS
        return self.status != "COMPLETED" and not alive and (self.folder / CHECKPOINT).exists()


class CompletedExperiments:
    """What a local record holds that need not be run again, or not from its beginning."""

    def __init__(self, folder: Path, root: Path) -> None:
        """Read the records.

        Args:
            folder: the folder of the local record, which need not exist.
            root: the folder with the framework's script and package.
        """
        self._root = root
        self._found = list(_stored(folder))

    def find(self, values: Mapping[str, Any]) -> str | None:
        """The id of the last completed experiment with these hyperparameters and today's code.

        A seed that is not given, and would be drawn, may be any.

        Args:
            values: the hyperparameters that differ from the defaults.
        """
        same = (one for one in self._same(values) if one.status == "COMPLETED")
        return next((one.folder.name for one in same), None)

    def find_unfinished(self, values: Mapping[str, Any]) -> Path | None:
        """The record of the last such experiment that has ended early and left a checkpoint."""
        return next((one.folder for one in self._same(values) if one.can_go_on), None)

    def _same(self, values: Mapping[str, Any]) -> Iterator[_Stored]:
        """The experiments with these hyperparameters and today's code, the last first."""
        wanted = Config.parse(values)
        for stored in reversed(self._found):
            seed = stored.config.seed if wanted.seed is None else wanted.seed
            same_config = stored.config == wanted.model_copy(update={"seed": seed})
            if same_config and sources.unchanged(self._root, stored.sources):
                yield stored


def _stored(folder: Path) -> Iterator[_Stored]:
    """In the order of their ids; a record that cannot be read, or is of older keys, is left out."""
    records = [path for path in folder.glob("*") if path.name.isdigit()]
    for path in sorted(records, key=lambda path: int(path.name)):
        try:
            record = EndedRecord(path)
            yield _Stored(path, record.status, Config.parse(record.config), record.sources)
        except (RecordError, ConfigError):
            continue
