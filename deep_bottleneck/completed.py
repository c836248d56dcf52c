"""Which experiments are stored as completed already, with the same config and the same code."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deep_bottleneck import sources
from deep_bottleneck.config import Config
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.records.local import LocalStore


@dataclass(frozen=True)
class _Completed:
    """An experiment's id, what it ran with and what Sacred kept of its code."""

    experiment_id: str
    config: Config
    sources: tuple[tuple[str, str], ...]


class CompletedExperiments:
    """What a local record holds that need not be run again."""

    def __init__(self, folder: Path, root: Path) -> None:
        """Read the records.

        Args:
            folder: the folder of the local record, which need not exist.
            root: the folder with the framework's script and package.
        """
        self._root = root
        self._found = list(_completed(folder))

    def find(self, values: Mapping[str, Any]) -> str | None:
        """The id of the last experiment with these hyperparameters and today's code, or None.

        A seed that is not given, and would be drawn, may be any.

        Args:
            values: the hyperparameters that differ from the defaults.
        """
        wanted = Config.parse(values)
        for stored in reversed(self._found):
            seed = stored.config.seed if wanted.seed is None else wanted.seed
            same_config = stored.config == wanted.model_copy(update={"seed": seed})
            if same_config and sources.unchanged(self._root, stored.sources):
                return stored.experiment_id
        return None


def _completed(folder: Path) -> Iterator[_Completed]:
    """In the order of their ids; a record that cannot be read, or is of older keys, is left out."""
    store = LocalStore(folder)
    entries = store.entries(store.ids())
    completed = [id_ for id_, entry in entries.items() if entry.status == "COMPLETED"]
    for id_, stored in store.configs(completed).items():
        try:
            config = Config.parse(stored)
        except ConfigError:
            continue
        sources = entries[id_].details.get("experiment", {}).get("sources", ())
        yield _Completed(str(id_), config, tuple((name, kept) for name, kept in sources))
