"""Several stored experiments."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from deep_bottleneck.errors import MissingTableError, RecordError
from deep_bottleneck.eval_tools.configs import SEED, differing_keys, format_config
from deep_bottleneck.eval_tools.experiment import Experiment
from deep_bottleneck.eval_tools.fields import LAST, MISSING, Fields
from deep_bottleneck.eval_tools.planes import draw_planes
from deep_bottleneck.eval_tools.query import select
from deep_bottleneck.storage.base import ExperimentId, RecordStore

logger = logging.getLogger(__name__)

Reductions = Mapping[str, str | Sequence[str]]


class ExperimentCollection(Sequence[Experiment]):
    """Experiments of one store, in order; what is asked of all of them is read at once.

    Attributes:
        store: where they are.
    """

    def __init__(self, store: RecordStore, ids: Iterable[ExperimentId] | None) -> None:
        """Take experiments together.

        Args:
            store: where they are.
            ids: which they are, None for all that there are when they are first needed.
        """
        self.store = store
        self._ids = None if ids is None else list(ids)

    @property
    def ids(self) -> list[ExperimentId]:
        """Their ids, in order."""
        if self._ids is None:
            self._ids = self.store.ids()
        return self._ids

    @overload
    def __getitem__(self, index: int) -> Experiment: ...

    @overload
    def __getitem__(self, index: slice) -> "ExperimentCollection": ...

    def __getitem__(self, index: int | slice) -> "Experiment | ExperimentCollection":
        if isinstance(index, slice):
            return ExperimentCollection(self.store, self.ids[index])
        return Experiment(self.store, self.ids[index])

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[Experiment]:
        return (Experiment(self.store, id_) for id_ in self.ids)

    def __repr__(self) -> str:
        return f"ExperimentCollection({self.ids})"

    @property
    def configs(self) -> dict[ExperimentId, dict[str, Any]]:
        """The hyperparameters of each experiment."""
        return self.store.configs(self.ids)

    def differing_config_keys(self) -> list[str]:
        """The hyperparameters, nested ones with dots, that are not the same in all experiments."""
        return differing_keys(self.configs.values())

    def filter(
        self,
        condition: Mapping[str, Any] | Callable[[Experiment], bool] | None = None,
        **equal: Any,
    ) -> "ExperimentCollection":
        """The experiments for which something holds.

        Args:
            condition: a query as `select` takes it, or a function of an experiment.
            equal: what hyperparameters, metrics or fields must be, such as status="COMPLETED".
        """
        chosen = self._ids
        if callable(condition):
            chosen = [experiment.id for experiment in self if condition(experiment)]
            condition = None
        query = {**(condition or {}), **equal}
        if not query:
            return ExperimentCollection(self.store, self.ids if chosen is None else chosen)
        fields = Fields(self.store, chosen)
        matching = select(query, fields)
        return ExperimentCollection(self.store, [id_ for id_ in fields.ids if id_ in matching])

    def project(self, on: Iterable[str | Reductions] | None = None) -> pd.DataFrame:
        """A table with a row for each experiment, indexed by its id.

        Args:
            on: the columns: hyperparameters (nested ones with dots), metrics (of which the last
                value is shown), "status", "start_time", "result.test" and so on; or
                `{"test.accuracy": "best"}`, where "best" is one of first, last, min, max, mean and
                best, or a list of them: best is the smallest value for a loss and else the largest.
                A metric that is named like a hyperparameter is "metrics.<name>". None for the
                status and the hyperparameters that differ.

        Returns:
            A column for each, called after its key, and after its reduction if that was given:
            "test.accuracy_best". What an experiment does not have is NaN.

        Raises:
            ValueError: if no experiment has a value of that name, or the reduction is unknown.
        """
        keys = ["status", *self.differing_config_keys()] if on is None else list(on)
        fields = Fields(self.store, self._ids)
        self._ids = list(fields.ids)
        wanted = list(_columns(keys))
        metrics = (fields.metric(key) for _, key, _ in wanted)
        fields.read_metrics(metric for metric in metrics if metric is not None)
        columns: dict[str, list[Any]] = {}
        for name, key, reduction in wanted:
            column = fields.column(key, reduction)
            if self.ids and all(value is MISSING for value in column.values()):
                raise ValueError(
                    f"none of the experiments has a hyperparameter or metric {key!r}"
                    + fields.near(key)
                )
            values = [column.get(id_, MISSING) for id_ in self.ids]
            columns[name] = [np.nan if value is MISSING else value for value in values]
        return pd.DataFrame(columns, index=pd.Index(self.ids, name="id"))

    def mean_measures(self, estimator: str | None = None, part: str = "test") -> pd.DataFrame:
        """Mutual information averaged over the runs of each experiment.

        Args:
            estimator: as for `Experiment.information_measures`.
            part: which part of the data.

        Returns:
            The columns id, estimator, parameter, epoch, layer, name, MI_XM and MI_YM, in bits.
            Missing values are left out of the means, and damaged experiments with a word in the
            log.

        Raises:
            MissingTableError: if an experiment that is not damaged has no such table.
            RecordError: if there is no experiment that can be read.
        """
        frames = []
        for experiment in self:
            try:
                measures = experiment.information_measures(estimator, part)
            except MissingTableError:
                raise
            except RecordError as error:
                logger.warning("Left out: experiment %s: %s", experiment.id, error)
            else:
                frames.append(measures.assign(id=experiment.id))
        if not frames:
            raise RecordError("there is no experiment to take means of")
        keys = ["id", "estimator", "parameter", "epoch", "layer", "name"]
        table = pd.concat(frames, ignore_index=True)
        return table.groupby(keys, dropna=False)[["MI_XM", "MI_YM"]].mean().reset_index()

    def plot_planes(
        self, estimator: str | None = None, part: str = "test", n_columns: int = 3
    ) -> Figure:
        """The information planes of all experiments on the same axes, titled by what differs.

        The final accuracy of those that ended is written into their planes.

        Args:
            estimator: as for `Experiment.information_measures`.
            part: which part of the data.
            n_columns: planes in a row.

        Raises:
            RecordError: as of `mean_measures`.
            ValueError: if an experiment has such tables of several estimators.
        """
        measures = self.mean_measures(estimator, part)
        for id_, of_one in measures.groupby("id"):
            methods = of_one[["estimator", "parameter"]].drop_duplicates()
            if len(methods) > 1:
                names = "; ".join(f"{name} ({parameter})" for name, parameter in methods.to_numpy())
                raise ValueError(
                    f"experiment {id_} has been measured with {names}: choose one, with estimator="
                )
        measured = set(measures["id"])
        titles = {id_: title for id_, title in self.titles().items() if id_ in measured}
        if not titles:
            raise RecordError("there is no experiment whose plane can be drawn")
        tables = {title: measures[measures["id"] == id_] for id_, title in titles.items()}
        drawn = ExperimentCollection(self.store, titles)
        accuracies = {titles[experiment.id]: _accuracy(experiment) for experiment in drawn}
        return draw_planes(tables, n_columns, accuracies)

    def titles(self) -> dict[ExperimentId, str]:
        """What tells each experiment from the others: its id and what differs but the seed."""
        configs = self.configs
        keys = [key for key in differing_keys(configs.values()) if key != SEED]
        return {
            id_: f"{id_}: {format_config(config, *keys)}" if keys else str(id_)
            for id_, config in configs.items()
        }

    def _repr_html_(self) -> str:
        return str(self.project().to_html())


def _accuracy(experiment: Experiment) -> str:
    """The final accuracy for each part, or nothing for an experiment that has not ended."""
    result = experiment.result
    accuracies = result.items() if isinstance(result, Mapping) else ()
    return ", ".join(f"{part} {share:.1%}" for part, share in accuracies)


def _columns(keys: Iterable[str | Reductions]) -> Iterator[tuple[str, str, str]]:
    """The name, key and reduction of each column."""
    for key in keys:
        if isinstance(key, str):
            yield key, key, LAST
            continue
        for metric, chosen in key.items():
            for reduction in [chosen] if isinstance(chosen, str) else chosen:
                yield f"{metric}_{reduction}", metric, reduction
