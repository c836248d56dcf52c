"""All that a watch measures: information, and what recorders of the experiment measure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pandas as pd

from deep_bottleneck.config import Config, components
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import (
    METRICS,
    Activations,
    BasePlotter,
    Dataset,
    FloatArray,
    IntArray,
    LabelledDataset,
    Part,
    Results,
    RunGroup,
    TableName,
)
from deep_bottleneck.measuring.information_tables import InformationTables, Inputs
from deep_bottleneck.training.recorder import Recorder
from deep_bottleneck.watching.data import WatchedData
from deep_bottleneck.watching.estimators import watching_estimators
from deep_bottleneck.watching.group import WatchedGroup
from deep_bottleneck.watching.notes import Notes
from deep_bottleneck.watching.recording import Recording

PART: Part = "full"
SIMILARITY = "similarity"
REPRESENTATION = "representation"


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        estimators: as a config names them.
        measures: "similarity", and recorders as a config names them.
        seed: where all randomness starts.
    """

    estimators: Sequence[Any]
    measures: Sequence[Any]
    seed: int
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)


class Measurement:
    """Measures a group of networks at one epoch after the other.

    Attributes:
        notes: the tables that recorders leave, and their metrics.
    """

    def __init__(
        self,
        plan: Plan,
        data: WatchedData,
        group: WatchedGroup,
        representations: Mapping[str, str],
    ) -> None:
        """Load estimators and recorders, and let them see the inputs.

        Args:
            plan: what to measure.
            data: the examples.
            group: the networks.
            representations: how tables call the representation of each layer.

        Raises:
            ConfigError: if one cannot be loaded.
        """
        self.notes = Notes()
        self._data = data
        self._representations = representations
        self._metrics: list[dict[str, Any]] = []
        values = self._values(plan, group)
        plug_ins = watching_estimators(plan.estimators, values, is_labelled=self.is_labelled)
        # layers of which the same is an example share theirs
        shared: dict[bytes, InformationTables] = {}
        self._of_layers = []
        for layer in range(len(group.layer_outputs)):
            rows = group.examples_of_rows(layer, data.examples)
            if rows.tobytes() not in shared:
                shared[rows.tobytes()] = InformationTables(
                    PART, plug_ins, values, _inputs(data, rows, group), self.notes,
                    device=group.networks[0].device,
                )  # fmt: skip
            self._of_layers.append(shared[rows.tobytes()])
        self._information = list(shared.values())
        wanted = list(plan.measures)
        if SIMILARITY in wanted and len(shared) > 1:
            raise ConfigError(
                f'measures: "{SIMILARITY}" compares layers by the same examples, and each position '
                "of some layers is one: choose another representation, or leave it out"
            )
        self._recording = Recording(data, group, plan.seed) if SIMILARITY in wanted else None
        self._recorders = _recorders([one for one in wanted if one != SIMILARITY], values)

    def observe(
        self, epoch: int, group: WatchedGroup, telling: bool, metrics: Mapping[str, FloatArray]
    ) -> None:
        """Measure an epoch; where that fails, no table has anything of it.

        Args:
            epoch: the epoch, after all that were measured.
            group: the networks.
            telling: whether trust reports may tell of it.
            metrics: what training says of the epoch, each of shape (runs,).
        """
        before = {name: dict(_state(one)) for name, one in self._recorders.items()}
        try:
            self._observe(epoch, group, telling, metrics)
        except BaseException:
            for information in self._information:
                information.forget(epoch)
            if self._recording is not None:
                self._recording.forget(epoch)
            self._restore_recorders(before)
            raise

    def _observe(
        self, epoch: int, group: WatchedGroup, telling: bool, metrics: Mapping[str, FloatArray]
    ) -> None:
        runs = np.array(group.runs)
        layers = group.representations(self._data.examples)
        for layer, (tables, values) in enumerate(zip(self._of_layers, layers, strict=True)):
            tables.observe_layer(epoch, runs, layer, values, telling)
        if self._recording is not None:
            self._recording.record(epoch, group)
        nobody_stops = np.zeros(len(runs), bool)
        for name, recorder in self._recorders.items():
            try:
                recorder.on_group_epoch_end(
                    epoch, cast("RunGroup", group), dict(metrics), nobody_stops
                )
            except Exception as error:
                error.add_note(f"It was the measure {name} at epoch {epoch}.")
                raise

    def note(self, epoch: int, n_runs: int, metrics: Mapping[str, FloatArray]) -> None:
        """Keep what training says of an epoch, measured or not."""
        for run in range(n_runs):
            values = {name: float(of_runs[run]) for name, of_runs in metrics.items()}
            self._metrics.append({"run": run, "epoch": epoch, **values})

    @property
    def is_labelled(self) -> bool:
        """Whether the examples have labels."""
        return self._data.n_classes > 1

    @property
    def scalars(self) -> dict[str, dict[int, float]]:
        """Metrics by name, each by its steps, as far as they are known: means over runs."""
        table = self.metrics
        found = dict(self.notes.scalars)
        for name in table.columns.drop(["run", "epoch"]):
            means = table.groupby("epoch")[name].mean().dropna()
            found[name] = dict(zip(means.index.tolist(), means.tolist(), strict=True))
        known = {
            name: {step: value for step, value in values.items() if not np.isnan(value)}
            for name, values in found.items()
        }
        return {name: values for name, values in known.items() if values}

    @property
    def metrics(self) -> pd.DataFrame:
        """Loss and accuracy as far as they are known, a row for each run and epoch."""
        table = pd.DataFrame(self._metrics)
        first = ["run", "epoch", *METRICS]
        others = [column for column in table if column not in first]
        table = table.reindex(columns=[*first, *others])
        return table.sort_values(["run", "epoch"], ignore_index=True)

    @property
    def information(self) -> dict[TableName, pd.DataFrame]:
        """The tables of information so far, by estimator."""
        found = _joined([one.tables() for one in self._information], ["run", "epoch", "layer"])
        return {name: self._told(table) for name, table in found.items()}

    @property
    def trust(self) -> dict[TableName, pd.DataFrame]:
        """How far each table of information can be trusted."""
        metrics = self.metrics
        reports = _joined([one.reports(metrics) for one in self._information], ["layer"])
        if not self.is_labelled:
            reports = {name: t[t["measure"] != "MI_YM"] for name, t in reports.items()}
        return reports

    @property
    def recorded(self) -> dict[str, pd.DataFrame]:
        """The tables of the recorders so far."""
        for recorder in self._recorders.values():
            recorder.on_train_end()
        return self.notes.tables

    def results(self, information: Mapping[TableName, pd.DataFrame]) -> Results:
        """What plotters read, with these tables of information."""
        trust = {f"trust_{name}": table for name, table in self.trust.items()}
        recordings: dict[Part, Activations] = {}
        if self._recording is not None and self._recording.epochs:
            recordings[PART] = self._recording
        stored = {**self.recorded, **trust}
        return Results(information, self.metrics, stored=stored, recordings=recordings)

    def state(self) -> dict[str, Any]:
        """What was measured so far, for `restore`."""
        return {
            "information": [one.state() for one in self._information],
            "recording": self._recording.state() if self._recording else None,
            "recorders": {name: dict(_state(one)) for name, one in self._recorders.items()},
            "metrics": list(self._metrics),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what was measured before."""
        for one, of_one in zip(self._information, state["information"], strict=True):
            one.restore(of_one)
        if self._recording is not None:
            self._recording.restore(state["recording"])
        self._restore_recorders(state["recorders"])
        self._metrics = list(state["metrics"])

    def _restore_recorders(self, states: Mapping[str, Mapping[str, Any]]) -> None:
        for name, recorder in self._recorders.items():
            cast("Any", recorder).restore(states[name])

    def _told(self, table: pd.DataFrame) -> pd.DataFrame:
        """A table that says how each layer is represented."""
        return table.assign(**{REPRESENTATION: table["name"].map(self._representations)})

    def _values(self, plan: Plan, group: WatchedGroup) -> dict[str, Any]:
        """What estimators and recorders may ask for by name."""
        data = self._data
        one_hot = np.eye(data.n_classes, dtype=np.float32)[data.labels]
        # recorders hand slices of the examples back to the group, which knows what they are
        examples = cast("FloatArray", data.examples)
        part = LabelledDataset(examples, data.labels, one_hot)
        return {
            **Config.parse({"seed": plan.seed}).hyperparameters,
            "device": str(group.networks[0].device),
            "run": self.notes,
            "tables": self.notes,
            "dataset": Dataset(part, part, data.n_classes),
            "n_classes": data.n_classes,
            # the watch itself says when
            "schedule": lambda _: True,
            "batch_size": group.networks[0].batch_size,
            "steps_per_epoch": None,
            **plan.hyperparameters,
        }


def _inputs(data: WatchedData, rows: IntArray, group: WatchedGroup) -> Inputs:
    """What the rows of representations are of: examples, or positions of these with their number.

    Args:
        data: the examples.
        rows: of which example each is, ascending.
        group: the networks.
    """
    names = [output.name for output in group.layer_outputs]
    examples = data.examples.flat()
    if len(rows) != len(examples):
        numbers = np.arange(len(rows)) - np.searchsorted(rows, rows)
        examples = np.column_stack([examples[rows], numbers.astype(np.float32)])
    return Inputs(data.labels[rows], examples, layer_names=names)


def _joined(
    parts: Sequence[Mapping[TableName, pd.DataFrame]], order: list[str]
) -> dict[TableName, pd.DataFrame]:
    """Tables of the same names as one each."""
    first, *others = parts
    if not others:
        return dict(first)
    return {
        name: pd.concat([part[name] for part in parts]).sort_values(
            order, ignore_index=True, kind="stable"
        )
        for name in first
    }


def plotted(kind: str, results: Results) -> Mapping[str, Any]:
    """What a plotter draws, by name.

    Raises:
        ConfigError: if there is no such plotter, or it draws what was not measured.
    """
    path = kind if "." in kind else f"plotter.{kind}"
    component = components.find("plot", path)
    needed = getattr(component.module, "NEEDED_TABLES", {})
    for table, recorder in needed.items():
        if table not in results.stored:
            name = recorder.rpartition(".")[2]
            raise ConfigError(f'plot("{kind}") needs measures=["{name}"], and a step')
    if getattr(component.module, "NEEDS_ACTIVATIONS", False) and not results.recordings:
        raise ConfigError(f'plot("{kind}") needs measures=["{SIMILARITY}"], and a step')
    return component.load_as(BasePlotter, {}).plot(results)


def _state(recorder: Recorder) -> Mapping[str, Any]:
    return cast("Any", recorder).state()


def _recorders(entries: Sequence[Any], values: Mapping[str, Any]) -> dict[str, Recorder]:
    short = [
        one if not isinstance(one, str) or "." in one else f"callbacks.{one}" for one in entries
    ]
    found = {}
    for entry in Config.parse({"callbacks": short}, "watch").callbacks:
        component = components.find("measures", entry.path, entry.arguments, entry.keywords)
        loaded = component.load_as(Recorder, values)
        if not (hasattr(loaded, "state") and hasattr(loaded, "restore")):
            raise ConfigError(f"measures: {entry.path} has no state() and restore()")
        found[entry.path] = loaded
    return found
