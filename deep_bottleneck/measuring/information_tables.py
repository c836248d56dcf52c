"""All tables of mutual information of one part of the data, and how far each can be trusted."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch

from deep_bottleneck.interfaces import (
    Activations,
    FloatArray,
    IntArray,
    MutualInformationEstimator,
    Part,
    TableName,
    TableRecord,
)
from deep_bottleneck.machine.progress import progress
from deep_bottleneck.measuring.estimation import (
    TOLERANCE,
    LayerActivations,
    Rows,
    counted_inputs,
    fitted,
)
from deep_bottleneck.measuring.estimators import EstimatorPlugIn
from deep_bottleneck.measuring.trust import VARIATIONS, CheckedTable, at_ceiling, telling_epochs
from deep_bottleneck.storage.names import INFORMATION, TRUST

logger = logging.getLogger(__name__)


class InformationTables:
    """Measures what it observes with every estimator, and stores what it finds.

    It makes no difference whether what is observed comes from networks that train or out of a
    recording of them.

    Attributes:
        part: the part of the data that is observed.
    """

    def __init__(
        self,
        part: Part,
        plug_ins: Mapping[str, EstimatorPlugIn],
        values: Mapping[str, Any],
        inputs: Activations,
        tables: TableRecord,
        *,
        device: torch.device | None = None,
        known: Mapping[str, pd.DataFrame] | None = None,
    ) -> None:
        """Load the estimators and let them see the inputs.

        Args:
            part: the part of the data that will be observed.
            plug_ins: the estimators by their name, which is "" for the only one of an experiment.
            values: what they may ask for, by name.
            inputs: the labels and examples of this part, and the names of the layers; the whole
                recording of it for estimators that look at all epochs first.
            tables: where the tables go, row by row and at the end.
            device: where estimators that take tensors get the examples; None for arrays.
            known: by the name of the estimator the tables that are there already, of which only the
                trust reports are missing.

        Raises:
            ConfigError: as for `EstimatorPlugIn.load`.
        """
        self.part: Part = part
        self._plug_ins = plug_ins
        self._tables = tables
        self._layer_names = dict(enumerate(inputs.layer_names))
        counts = counted_inputs(inputs)
        there = inputs
        if device is not None:
            there = Inputs(inputs.labels, torch.as_tensor(inputs.examples).to(device))

        def seeing(estimator: MutualInformationEstimator) -> MutualInformationEstimator:
            return fitted(estimator, there if estimator.takes_tensors else inputs)

        def checked(name: str, plug_in: EstimatorPlugIn) -> CheckedTable:
            varied = plug_in.varied(values, VARIATIONS)
            variants = {check: seeing(variant) for check, variant in varied.items()}
            table = (known or {}).get(name)
            estimator = seeing(plug_in.load(values))
            return CheckedTable(estimator, variants, part, inputs.labels, counts, table)

        self._checked = {name: checked(name, plug_in) for name, plug_in in plug_ins.items()}

    def observe(
        self,
        epoch: int,
        runs: IntArray,
        layers: Iterable[torch.Tensor | FloatArray],
        telling: bool,
    ) -> None:
        """Measure an epoch, and let the stored tables grow.

        Args:
            epoch: the epoch.
            runs: the numbers of the runs.
            layers: the activations of each layer, shape (runs, n_examples, n_units); one layer is
                asked for after the other.
            telling: whether the epoch may be one that trust reports tell of.
        """
        rows: dict[str, list[Rows]] = {}
        for layer, values in enumerate(layers):
            for name, of_runs in self.observe_layer(epoch, runs, layer, values, telling).items():
                rows.setdefault(name, []).append(of_runs)
        for name, of_layers in rows.items():
            grown = self._named(name, self._checked[name].estimate.tidy(of_layers))
            self._tables.append(f"{INFORMATION}{TableName(name, self.part)}", grown)

    def forget(self, epoch: int) -> None:
        """Be as if an epoch, the last, had never been measured."""
        for checked in self._checked.values():
            checked.forget(epoch)

    def observe_layer(
        self,
        epoch: int,
        runs: IntArray,
        layer: int,
        values: torch.Tensor | FloatArray,
        telling: bool,
    ) -> dict[str, Rows]:
        """Measure one layer of an epoch, as `observe`, and give the new rows by estimator."""
        layer_name = self._layer_names.get(layer, "")
        activations = LayerActivations(values, layer_name)
        rows = {}
        for name, checked in self._checked.items():
            try:
                of_runs = checked.observe(epoch, runs, layer, activations, telling)
            except Exception as error:
                error.add_note(f"It was layer {layer} {layer_name} at epoch {epoch}.")
                raise
            if of_runs is not None:
                rows[name] = of_runs
        return rows

    def replay(self, recording: Activations) -> None:
        """Observe what was recorded, epoch by epoch."""
        epochs = recording.epochs
        if not epochs:
            return
        telling = telling_epochs(epochs)
        only_checks = all(checked.is_known for checked in self._checked.values())
        needed = telling if only_checks else epochs
        with progress(f"Estimating ({self.part})", len(needed)) as bar:
            for epoch in needed:
                layers = (recording.layer(epoch, layer) for layer in range(recording.n_layers))
                self.observe(epoch, recording.runs(epoch), layers, epoch in telling)
                bar.advance(epoch=str(epoch))

    def store(self, metrics: pd.DataFrame) -> dict[TableName, pd.DataFrame]:
        """Store `information_measures_<name>` and `trust_<name>` for each estimator.

        The log says what could not be estimated, and which tables are saturated.

        Args:
            metrics: columns run, epoch, accuracy, val_accuracy.

        Returns:
            The tables of information, those that were there before among them.
        """
        found = self.tables()
        reports = self.reports(metrics)
        for name, table in found.items():
            checked = self._checked[name.estimator]
            if not checked.is_known:
                checked.estimate.say_what_failed()
                self._tables.add(f"{INFORMATION}{name}", table)
                _say_if_saturated(table)
                _say_if_blind(table, self._plug_ins[name.estimator])
                _say_if_contradictory(table)
            self._tables.add(f"{TRUST}{name}", reports[name])
        return found

    def tables(self) -> dict[TableName, pd.DataFrame]:
        """The tables of information so far, those that were there before among them."""
        found = {}
        for name, checked in self._checked.items():
            table = checked.table()
            named = table if checked.is_known else self._named(name, table)
            found[TableName(name, self.part)] = named
        return found

    def reports(self, metrics: pd.DataFrame) -> dict[TableName, pd.DataFrame]:
        """How far each table can be trusted so far, as `trust_report` describes it.

        Args:
            metrics: columns run, epoch, accuracy, val_accuracy.
        """
        return {
            TableName(name, self.part): checked.report(metrics)
            for name, checked in self._checked.items()
        }

    def state(self) -> dict[str, Any]:
        """What was observed so far, for `restore`."""
        return {name: checked.state() for name, checked in self._checked.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what was observed with the same estimators before."""
        for name, checked in self._checked.items():
            checked.restore(state[name])

    def _named(self, name: str, table: pd.DataFrame) -> pd.DataFrame:
        """A table that says how a config names its estimator."""
        return table.assign(**self._plug_ins[name].columns)


@dataclass(frozen=True)
class Inputs:
    """A part of the data as a recording that has no epochs, for estimators to look at.

    Attributes:
        labels: the label of each example, shape (n_examples,).
        examples: the inputs, flattened: an array or a tensor of shape (n_examples, input_size).
    """

    labels: IntArray
    examples: Any
    epochs: Sequence[int] = ()
    n_layers: int = 0
    layer_names: Sequence[str] = ()

    def runs(self, epoch: int) -> IntArray:
        """None: there are no epochs."""
        raise KeyError(epoch)

    def layer(self, epoch: int, layer: int) -> FloatArray:
        """None: there are no epochs."""
        raise KeyError(epoch)


def _say_if_saturated(table: pd.DataFrame) -> None:
    known = table.dropna(subset="MI_XM")
    share = at_ceiling(known).mean()
    if share > 0.5:
        row = known.iloc[0]
        logger.warning(
            "%.0f %% of the values of I(X;M) by %s (%s data) are at their ceiling of %.2f bits: "
            "there the method tells apart all that differ among the %d examples, and can say no "
            "more about the layer.",
            100 * share,
            row["estimator"],
            row["part"],
            row["ceiling"],
            row["n_examples"],
        )


def _say_if_blind(table: pd.DataFrame, plug_in: EstimatorPlugIn) -> None:
    known = table.dropna(subset="MI_XM")
    if known.empty or (known["MI_XM"].abs() > TOLERANCE).any():
        return
    row = known.iloc[0]
    given, own = plug_in.discretization_range, plug_in.own_default
    hint = (
        f'; {given:g} as "discretization_range" may be meant for another estimator, the default of '
        f"this one is {own:g}"
        if plug_in.has_parameter and given != own
        else ""
    )
    logger.warning(
        "All %d values of I(X;M) by %s (%s data) are 0: the method sees nothing of the input%s.",
        len(known),
        ", ".join(filter(None, (row["estimator"], row["parameter"]))),
        row["part"],
        hint,
    )


def _say_if_contradictory(table: pd.DataFrame) -> None:
    deeper = table[table["layer"] > table["layer"].min()].dropna(subset="MI_XM")
    share = deeper["violates_dpi"].mean()
    if share > 0.5:
        row = deeper.iloc[0]
        logger.warning(
            "%.0f %% of the values of deeper layers by %s (%s data) contradict the data processing "
            "inequality: the layer would know more than one before it, which no layer can that "
            "has all it knows from there, so in a chain of layers these are errors of the "
            "estimate. Branches and skip connections may go past a layer.",
            100 * share,
            row["estimator"],
            row["part"],
        )
