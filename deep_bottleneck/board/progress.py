"""How far experiments are that still run."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from deep_bottleneck.interfaces import Status
from deep_bottleneck.storage.base import Entry, ExperimentId, RecordStore


@dataclass(frozen=True)
class Progress:
    """How far an experiment is.

    Attributes:
        done: epochs that are recorded.
        total: epochs it is to have, None if its config does not say.
    """

    done: int
    total: int | None


def progress_of(store: RecordStore, entries: Iterable[Entry]) -> dict[ExperimentId, Progress]:
    """How far those of the experiments are that run."""
    running = [entry.id for entry in entries if entry.status == Status.RUNNING]
    if not running:
        return {}
    metrics, configs = store.metrics(running), store.configs(running)
    return {
        id_: Progress(_recorded(metrics.get(id_, {}).values()), _epochs(configs.get(id_, {})))
        for id_ in running
    }


def _recorded(metrics: Iterable[pd.Series]) -> int:
    return max((int(values.index.max()) + 1 for values in metrics if len(values)), default=0)


def _epochs(config: dict[str, Any]) -> int | None:
    epochs = config.get("epochs")
    return epochs if isinstance(epochs, int) else None
