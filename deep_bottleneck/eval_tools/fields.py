"""What stored experiments are asked for by a key: a hyperparameter, a metric, the status, ..."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from deep_bottleneck.records.base import (
    Entry,
    ExperimentId,
    MetricSummary,
    RecordStore,
)

ENTRY_FIELDS = ("name", "status", "start_time", "stop_time", "heartbeat", "commit", "artifacts")
LAST = "last"
BEST = "best"
REDUCTIONS = (*MetricSummary._fields, BEST)
# Sacred's own names of its fields, which queries may use as well
_ALIASES = {"_id": "id", "experiment.name": "name"}


class Missing:
    """What an experiment has no value for."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = Missing()

Column = Mapping[ExperimentId, Any]


class Fields:
    """Reads each kind of value for all experiments at once, and only if it is asked for.

    It stands for one moment: make a new one for each question.
    """

    def __init__(self, store: RecordStore, ids: Sequence[ExperimentId]) -> None:
        self._store = store
        self._ids = ids

    def column(self, key: str, reduction: str = LAST) -> Column:
        """A value for each experiment, MISSING where it has none.

        Args:
            key: "id", one of `ENTRY_FIELDS`, "result" or a part of it, "config." or "metrics." and
                a name, or the name alone, which is looked for among the hyperparameters first.
            reduction: one of `REDUCTIONS`, for metrics.

        Raises:
            ValueError: if there is no such reduction.
        """
        if reduction not in REDUCTIONS:
            raise ValueError(f"{reduction!r} is none of {', '.join(REDUCTIONS)}")
        key = _ALIASES.get(key, key)
        section, _, rest = key.partition(".")
        if key == "id":
            return {id_: id_ for id_ in self._ids}
        if key in ENTRY_FIELDS:
            return self._of_entries(key)
        if section == "result":
            return {id_: _inside(entry.result, rest) for id_, entry in self._entries.items()}
        if section == "config" and rest:
            return {id_: _inside(config, rest) for id_, config in self._configs.items()}
        if section == "metrics" and rest:
            return self._of_metrics(rest, reduction)
        column = {id_: _inside(config, key) for id_, config in self._configs.items()}
        if any(value is not MISSING for value in column.values()):
            return column
        return self._of_metrics(key, reduction)

    def is_metric(self, key: str) -> bool:
        """Whether a key stands for a metric."""
        if key.startswith("metrics."):
            return True
        key = _ALIASES.get(key, key)
        if key in ("id", *ENTRY_FIELDS) or key.partition(".")[0] in ("result", "config"):
            return False
        return all(_inside(config, key) is MISSING for config in self._configs.values())

    @cached_property
    def _configs(self) -> dict[ExperimentId, dict[str, Any]]:
        return self._store.configs(self._ids)

    @cached_property
    def _entries(self) -> dict[ExperimentId, Entry]:
        return self._store.entries(self._ids)

    def _of_entries(self, name: str) -> Column:
        found = {id_: getattr(entry, name) for id_, entry in self._entries.items()}
        return {id_: MISSING if value is None else value for id_, value in found.items()}

    def _of_metrics(self, name: str, reduction: str) -> Column:
        if reduction == BEST:
            reduction = "min" if name.endswith("loss") else "max"
        found = self._store.summaries(self._ids, [name])
        return {
            id_: getattr(summaries[name], reduction) if name in summaries else MISSING
            for id_, summaries in found.items()
        }


def _inside(value: Any, path: str) -> Any:
    """A part of a nested value; "" is all of it, and numbers count the elements of lists."""
    for key in path.split(".") if path else ():
        if isinstance(value, Mapping) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return MISSING
    return value
