"""What stored experiments are asked for by a key: a hyperparameter, a metric, the status, ..."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from deep_bottleneck.eval_tools.former_names import of_metrics, present
from deep_bottleneck.storage.base import (
    Entry,
    ExperimentId,
    MetricSummary,
    RecordStore,
)

ENTRY_FIELDS = (
    "name",
    "status",
    "start_time",
    "stop_time",
    "heartbeat",
    "commit",
    "artifacts",
    "tags",
)
_OF_WHOLE_ENTRIES = ("name", "commit")
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

    def __init__(self, store: RecordStore, ids: Sequence[ExperimentId] | None = None) -> None:
        """Ask a store.

        Args:
            store: where the experiments are.
            ids: which of them, None for all.
        """
        self._whole_store = store
        self._store = store.at_once(ids)
        self._given = ids
        self._summaries: dict[str, dict[ExperimentId, MetricSummary]] = {}

    @cached_property
    def ids(self) -> Sequence[ExperimentId]:
        """The experiments that are asked for, all of them in the order of their ids."""
        return self._store.ids() if self._given is None else self._given

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
            return {id_: id_ for id_ in self.ids}
        if key in ENTRY_FIELDS:
            return self._of_entries(key)
        if section == "result":
            return {id_: _inside(entry.result, rest) for id_, entry in self.entries.items()}
        metric = self.metric(key)
        if metric is not None:
            return self._of_metric(metric, reduction)
        path = rest if section == "config" else key
        return {id_: _inside(config, path) for id_, config in self.configs.items()}

    def metric(self, key: str) -> str | None:
        """The name of the metric that a key stands for, None if it stands for something else."""
        section, _, rest = key.partition(".")
        if section == "metrics" and rest:
            return rest
        if key in ("id", *ENTRY_FIELDS, *_ALIASES) or section in ("result", "config"):
            return None
        absent = all(_inside(config, key) is MISSING for config in self.configs.values())
        return key if absent else None

    def near(self, key: str, metrics_alone: bool = False) -> str:
        """What to ask for instead of a key that no experiment has, as the end of a sentence.

        Args:
            key: what was asked for.
            metrics_alone: whether it had to be the name of a metric.
        """
        # the last ones are of the code of now, and a few have all names
        some = self.ids[-10:]
        known = {name: None for found in self._store.metrics(some).values() for name in found}
        if not metrics_alone:
            known |= {name: None for config in self.configs.values() for name in config}
            known |= dict.fromkeys(("id", *ENTRY_FIELDS, "result"))
        close = difflib.get_close_matches(key, known, n=3)
        if close:
            return f"; did you mean {' or '.join(map(repr, close))}?"
        return f"; there are {', '.join(known)}" if known else ""

    def read_metrics(self, names: Iterable[str]) -> None:
        """Read metrics at once that will be asked for one by one."""
        wanted = sorted(set(names) - self._summaries.keys())
        if wanted:
            others = {other for name in wanted for other in of_metrics(name)}
            found = self._store.summaries(self.ids, sorted({*wanted, *others}))
            for name in wanted:
                self._summaries[name] = {
                    id_: of_one[stored]
                    for id_, of_one in found.items()
                    for stored in present(name, of_one, of_metrics)
                }

    @cached_property
    def configs(self) -> dict[ExperimentId, dict[str, Any]]:
        """The hyperparameters of each experiment."""
        return self._store.configs(self.ids)

    @cached_property
    def entries(self) -> dict[ExperimentId, Entry]:
        """What else is known of each experiment, but for name, sources and commit."""
        return self._store.entries(self.ids)

    @cached_property
    def _whole_entries(self) -> dict[ExperimentId, Entry]:
        if self._store is self._whole_store:
            return self.entries
        return self._whole_store.entries(self.ids)

    def _of_entries(self, name: str) -> Column:
        entries = self._whole_entries if name in _OF_WHOLE_ENTRIES else self.entries
        found = {id_: getattr(entry, name) for id_, entry in entries.items()}
        return {id_: MISSING if value is None else value for id_, value in found.items()}

    def _of_metric(self, name: str, reduction: str) -> Column:
        if reduction == BEST:
            reduction = "min" if name.endswith("loss") else "max"
        self.read_metrics([name])
        found = self._summaries[name]
        return {
            id_: getattr(found[id_], reduction) if id_ in found else MISSING for id_ in self.ids
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
