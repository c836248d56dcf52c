"""Mutual information measured while networks train, so that no activations need be kept.

At a scheduled epoch the activations go from the networks straight to the estimators, on the device
where they are. The tables are those that a recording would give. What a table's trust report needs
of the first, the middle and the last epoch is measured at every epoch that may turn out to be one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, cast

import numpy as np
import pandas as pd
import torch

from deep_bottleneck.interfaces import (
    BoolArray,
    Dataset,
    FloatArray,
    IntArray,
    LabelledDataset,
    MutualInformationEstimator,
    Part,
    RunGroup,
)
from deep_bottleneck.machine.device import select, to_host
from deep_bottleneck.machine.threads import n_threads
from deep_bottleneck.measuring import trust
from deep_bottleneck.measuring.estimation import (
    Failures,
    estimate_layers,
    fitted,
    say_what_failed,
    tidy,
)
from deep_bottleneck.measuring.estimators import EstimatorPlugIn
from deep_bottleneck.measuring.information_tables import store_information, store_trust, table_name
from deep_bottleneck.measuring.tables import Tables
from deep_bottleneck.storage.names import INFORMATION
from deep_bottleneck.training.recorder import Recorder, State
from deep_bottleneck.training.schedule import Schedule, due_runs

ESTIMATE = "estimate"

Key = tuple[str, str]
"""The name of a table, and of the check."""


def can_stream(estimator: MutualInformationEstimator) -> bool:
    """Whether the estimator can measure an epoch before the next is there."""
    sees_all = type(estimator).fitted is not MutualInformationEstimator.fitted
    return estimator.fitted_to_inputs or not sees_all


@dataclass(frozen=True)
class _Inputs:
    """A part of the data as a recording that has no epochs, for estimators to look at."""

    labels: IntArray
    examples: Any
    epochs: Sequence[int] = ()
    n_layers: int = 0

    def runs(self, epoch: int) -> IntArray:
        raise KeyError(epoch)

    def layer(self, epoch: int, layer: int) -> FloatArray:
        raise KeyError(epoch)


@dataclass(frozen=True)
class _Measure:
    """An estimator of one table and check, fitted to its part of the data."""

    key: Key
    part: Part
    estimator: MutualInformationEstimator
    labels: IntArray


class InformationStream(Recorder):
    """Measures the scheduled epochs of a training, and the last of each run.

    Attributes:
        may_stop_early: whether a callback may stop a run. If none can, it is known beforehand which
            epochs the trust report tells of, and the others are measured once.
    """

    def __init__(
        self,
        plug_ins: Mapping[str, EstimatorPlugIn],
        values: Mapping[str, Any],
        dataset: Dataset,
        parts: Sequence[Part],
        schedule: Schedule,
        epochs: int,
        tables: Tables,
        device: torch.device,
    ) -> None:
        """Load the estimators and let them see the inputs.

        Args:
            plug_ins: the estimators by their name, which is "" for the only one of an experiment.
            values: what they may ask for, by name.
            dataset: whose examples are measured.
            parts: the parts of the data to measure.
            schedule: the epochs to measure.
            epochs: how long networks train at most.
            tables: where tables go, row by row and at the end.
            device: where networks train.
        """
        super().__init__()
        self._dataset = dataset
        self._schedule = schedule
        self._last_possible = epochs - 1
        self.may_stop_early = True
        self._tables = tables
        # as before training, which may take fewer
        self._with_threads = partial(n_threads, torch.get_num_threads())
        self._measures = _measures(plug_ins, values, dataset, parts, device)
        self._numbers: dict[Key, list[pd.DataFrame]] = {}
        self._failures: dict[Key, Failures] = {}
        self._epoch_before: int | None = None

    def on_group_epoch_end(
        self, epoch: int, group: RunGroup, logs: dict[str, FloatArray], stopping: BoolArray
    ) -> None:
        """Measure the runs that are due."""
        due = due_runs(self._schedule, epoch, stopping)
        if not len(due):
            return
        before = self._epoch_before
        if before is not None and before >= epoch:
            before = None  # the first of another group
        self._epoch_before = epoch
        telling = self._may_be_telling(epoch, before, bool(stopping.any()))
        runs = np.array(group.runs)[due]
        with self._with_threads():
            outputs = _Outputs(group, self._dataset, due)
            for measure in self._measures:
                if telling or measure.key[1] == ESTIMATE:
                    self._measure(measure, epoch, runs, outputs)

    def state(self) -> State:
        """All that was measured, and why some of it could not be."""
        return {
            "numbers": {
                key: pd.concat(pieces, ignore_index=True) for key, pieces in self._numbers.items()
            },
            "failures": self._failures,
            "epoch_before": self._epoch_before,
        }

    def restore(self, state: State) -> None:
        """Go on with it."""
        self._numbers = {key: [rows] for key, rows in state["numbers"].items()}
        self._failures = dict(state["failures"])
        self._epoch_before = state["epoch_before"]

    def store(self, metrics: pd.DataFrame) -> dict[str, pd.DataFrame]:
        """Store all tables, as `measurement.measure` does.

        Args:
            metrics: columns run, epoch, accuracy, val_accuracy.

        Returns:
            The tables of information by their name.
        """
        found = {}
        for measure in self._measures:
            name, check = measure.key
            if check != ESTIMATE:
                continue
            of_table = [other for other in self._measures if other.key[0] == name]
            say_what_failed(
                self._failures.get(measure.key, {}), measure.estimator.method, measure.part
            )
            table = self._table(measure)
            store_information(name, table, self._tables)
            store_trust(name, self._report(table, of_table, measure.labels, metrics), self._tables)
            found[name] = table
        return found

    def _may_be_telling(self, epoch: int, before: int | None, stops: bool) -> bool:
        if self.may_stop_early:
            return stops or trust.may_be_telling(before, self._last_possible)
        return epoch in self._telling_of_all

    @cached_property
    def _telling_of_all(self) -> list[int]:
        """The telling epochs of a training to its end."""
        scheduled = filter(self._schedule, range(self._last_possible))
        return trust.telling_epochs([*scheduled, self._last_possible])

    def _measure(self, measure: _Measure, epoch: int, runs: IntArray, outputs: "_Outputs") -> None:
        layers = outputs.of(measure.part, measure.estimator.takes_tensors)
        failures = self._failures.setdefault(measure.key, {})
        numbers = estimate_layers(measure.estimator, epoch, runs, layers, measure.labels, failures)
        self._numbers.setdefault(measure.key, []).append(numbers)
        name, check = measure.key
        if check == ESTIMATE:
            self._tables.append(f"{INFORMATION}{name}", _tidied([numbers], measure))

    def _table(self, measure: _Measure) -> pd.DataFrame:
        return _tidied(self._numbers.get(measure.key, []), measure)

    def _report(
        self,
        table: pd.DataFrame,
        measures: Sequence[_Measure],
        labels: IntArray,
        metrics: pd.DataFrame,
    ) -> pd.DataFrame:
        if table.empty:
            return pd.DataFrame(columns=trust.COLUMNS)
        telling = trust.telling_epochs(sorted(table["epoch"].unique()))
        checks = {}
        for measure in measures:
            values = self._table(measure)
            checks[measure.key[1]] = values[values["epoch"].isin(telling)]
        del checks[ESTIMATE]
        without_relation = checks.pop(trust.SHUFFLED)
        return trust.report(table, checks, without_relation, labels, metrics)


class _Outputs:
    """The activations of one epoch, computed once for all who measure them."""

    def __init__(self, group: RunGroup, dataset: Dataset, due: IntArray) -> None:
        self._group = group
        self._dataset = dataset
        self._due = due
        self._tensors: dict[Part, list[torch.Tensor]] = {}
        self._arrays: dict[Part, list[FloatArray]] = {}

    def of(self, part: Part, as_tensors: bool) -> list[FloatArray]:
        """Each layer's, shape (runs, n_examples, n_units), as arrays if not as tensors."""
        if as_tensors:
            return cast(list[FloatArray], self._of(part))
        if part not in self._arrays:
            self._arrays[part] = to_host(self._of(part))
        return self._arrays[part]

    def _of(self, part: Part) -> list[torch.Tensor]:
        if part not in self._tensors:
            if part == "full":
                both = zip(self._of("train"), self._of("test"), strict=True)
                self._tensors[part] = [torch.cat(layers, dim=1) for layers in both]
            else:
                outputs = self._group.outputs(getattr(self._dataset, part).examples)
                self._tensors[part] = [
                    torch.as_tensor(select(layer, self._due)) for layer in outputs
                ]
        return self._tensors[part]


def _measures(
    plug_ins: Mapping[str, EstimatorPlugIn],
    values: Mapping[str, Any],
    dataset: Dataset,
    parts: Sequence[Part],
    device: torch.device,
) -> list[_Measure]:
    found = []
    for part in parts:
        labelled = _part(dataset, part)
        examples = labelled.examples.reshape(len(labelled), -1)
        inputs = _Inputs(labelled.labels, examples)
        inputs_there = _Inputs(labelled.labels, torch.as_tensor(examples).to(device))
        for estimator_name, plug_in in plug_ins.items():
            name = table_name(estimator_name, part)
            found += _of_plug_in(plug_in, values, name, part, inputs, inputs_there)
    return found


def _of_plug_in(
    plug_in: EstimatorPlugIn,
    values: Mapping[str, Any],
    name: str,
    part: Part,
    inputs: _Inputs,
    inputs_there: _Inputs,
) -> list[_Measure]:
    def seeing(estimator: MutualInformationEstimator) -> MutualInformationEstimator:
        return fitted(estimator, inputs_there if estimator.takes_tensors else inputs)

    labels = inputs.labels
    estimator = seeing(plug_in.load(values))
    variants = plug_in.varied(values, trust.VARIATIONS)
    return [
        _Measure((name, ESTIMATE), part, estimator, labels),
        *(_Measure((name, check), part, seeing(v), labels) for check, v in variants.items()),
        _Measure((name, trust.SHUFFLED), part, estimator, trust.shuffled(labels)),
    ]


def _part(dataset: Dataset, part: Part) -> LabelledDataset:
    if part != "full":
        return dataset.train if part == "train" else dataset.test
    both = (dataset.train, dataset.test)
    return LabelledDataset(
        np.concatenate([one.examples for one in both]),
        np.concatenate([one.labels for one in both]),
        np.concatenate([one.one_hot_labels for one in both]),
    )


def _tidied(numbers: Sequence[pd.DataFrame], measure: _Measure) -> pd.DataFrame:
    n_layers = 1 + max((int(frame["layer"].max()) for frame in numbers[:1]), default=0)
    method = measure.estimator.method
    return tidy(numbers, method, measure.part, len(measure.labels), n_layers)
