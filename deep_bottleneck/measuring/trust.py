"""How far an information plane can be trusted: one small table for each plane."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from deep_bottleneck.information.discrete import Counts, count_keys, entropy
from deep_bottleneck.interfaces import Activations, IntArray, MutualInformationEstimator, Part
from deep_bottleneck.measuring.estimation import (
    TOLERANCE,
    InformationTable,
    LayerActivations,
    Rows,
    counted_inputs,
    fitted,
)

SHUFFLED = "labels shuffled"
VARIATIONS = {"parameter halved": 0.5, "parameter doubled": 2.0}
COLUMNS = (
    "estimator",
    "parameter",
    "bounds",
    "geometric",
    "part",
    "n_examples",
    "n_runs",
    "check",
    "measure",
    "epoch",
    "layer",
    "name",
    "value",
    "lowest",
    "highest",
    "unit",
)
INFORMATION = ("MI_XM", "MI_YM")
_CONTEXT = ["estimator", "parameter", "bounds", "geometric", "part", "n_examples"]
_SHUFFLE_SEED = 0


def at_ceiling(table: pd.DataFrame) -> "pd.Series[bool]":
    """Whether I(X;M) is as large as the method could have answered, within 1 %."""
    return table["MI_XM"] >= 0.99 * table["ceiling"]


class CheckedTable:
    """A table of information, and the checks that tell how far it can be trusted.

    Attributes:
        estimate: the table as it is gathered.
    """

    def __init__(
        self,
        estimator: MutualInformationEstimator,
        variants: Mapping[str, MutualInformationEstimator],
        part: Part,
        labels: IntArray,
        inputs: Counts | None = None,
        known: pd.DataFrame | None = None,
    ) -> None:
        """Begin an empty table.

        Args:
            estimator: how it is estimated, as `fitted` gives it.
            variants: the same method with other parameters, by the name of the check.
            part: which part of the data is observed.
            labels: the label of each example, shape (n_examples,).
            inputs: how often each input occurs, None if that is not known.
            known: the whole table, where only the checks are to be made.
        """

        def empty(estimator: MutualInformationEstimator, labels: IntArray) -> InformationTable:
            return InformationTable(estimator, part, labels, inputs)

        self.estimate = empty(estimator, labels)
        self._known = known
        self._labels = labels
        self._checks = {
            **{name: empty(variant, labels) for name, variant in variants.items()},
            SHUFFLED: empty(estimator, shuffled(labels)),
        }

    @property
    def is_known(self) -> bool:
        """Whether the table was there before."""
        return self._known is not None

    def observe(
        self, epoch: int, runs: IntArray, layer: int, activations: LayerActivations, telling: bool
    ) -> Rows | None:
        """Estimate a layer at an epoch, and check it if it may be a telling one.

        Returns:
            As `InformationTable.observe`; None if the table was there before.
        """
        if telling:
            for check in self._checks.values():
                check.observe(epoch, runs, layer, activations)
        if self.is_known:
            return None
        return self.estimate.observe(epoch, runs, layer, activations)

    def forget(self, epoch: int) -> None:
        """Be as if an epoch, the last, had never been observed."""
        for table in (self.estimate, *self._checks.values()):
            table.forget(epoch)

    def table(self) -> pd.DataFrame:
        """The table of information, as `estimate` describes it."""
        return self.estimate.table() if self._known is None else self._known

    def report(self, metrics: pd.DataFrame) -> pd.DataFrame:
        """What speaks for and against the table, as `trust_report` describes it."""
        table = self.table()
        checks = {name: check.table() for name, check in self._checks.items()}
        if table.empty or checks[SHUFFLED].empty:
            return pd.DataFrame(columns=COLUMNS)
        telling = telling_epochs(sorted(checks[SHUFFLED]["epoch"].unique()))
        found = {name: values[values["epoch"].isin(telling)] for name, values in checks.items()}
        without_relation = found.pop(SHUFFLED)
        return report(table, found, without_relation, self._labels, metrics)

    def state(self) -> dict[str, Any]:
        """What was observed so far, for `restore`."""
        checks = {name: check.state() for name, check in self._checks.items()}
        return {"estimate": self.estimate.state(), "checks": checks}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what another table of the same estimators had observed."""
        self.estimate.restore(state["estimate"])
        for name, check in self._checks.items():
            check.restore(state["checks"][name])


def trust_report(
    table: pd.DataFrame,
    estimator: MutualInformationEstimator,
    variants: Mapping[str, MutualInformationEstimator],
    recording: Activations,
    metrics: pd.DataFrame,
) -> pd.DataFrame:
    """What speaks for and against a table of mutual information.

    The checks are

    - "estimate", "parameter halved", "parameter doubled": MI_XM and MI_YM in bits of each layer at
      the first, a middle and the last epoch, with the parameter as it is and changed;
    - "labels shuffled": MI_YM when labels and examples have nothing to do with each other, which
      is the method's bias;
    - "at the ceiling", "above H(Y)", "above I(X;M)", "violates the data processing inequality": the
      share of all epochs and runs at which a layer's value says nothing, or cannot be right: what a
      layer says about the label is neither more than there is to say, nor more than it says about
      the input;
    - "ceiling" and "H(Y)" in bits, which bound MI_XM and MI_YM;
    - "accuracy" on the training and test examples at the last epoch.

    Args:
        table: as `estimate` gives it.
        estimator: how it was estimated.
        variants: the same method with other parameters, by the name of the check.
        recording: what it was estimated from.
        metrics: columns run, epoch, accuracy, val_accuracy.

    Returns:
        The columns estimator, parameter, bounds, geometric, part, n_examples, n_runs as in the
        table; check, measure, epoch, layer (NaN where a check has none) and name; value, the mean
        over runs; lowest and highest, the range over runs; unit.
    """
    if table.empty:
        return pd.DataFrame(columns=COLUMNS)
    checked = CheckedTable(
        fitted(estimator, recording),
        {name: fitted(variant, recording) for name, variant in variants.items()},
        table["part"].iloc[0],
        recording.labels,
        counted_inputs(recording),
        known=table,
    )
    for epoch in telling_epochs(recording.epochs):
        for layer, name in enumerate(recording.layer_names):
            values = LayerActivations(recording.layer(epoch, layer), name)
            checked.observe(epoch, recording.runs(epoch), layer, values, telling=True)
    return checked.report(metrics)


def report(
    table: pd.DataFrame,
    varied: Mapping[str, pd.DataFrame],
    without_relation: pd.DataFrame,
    labels: IntArray,
    metrics: pd.DataFrame,
) -> pd.DataFrame:
    """The same from estimates that are there already.

    Args:
        table: as `estimate` gives it.
        varied: such tables with other parameters at the telling epochs, by the name of the check.
        without_relation: such a table of shuffled labels at the telling epochs, which it tells.
        labels: the labels, shape (n_examples,).
        metrics: columns run, epoch, accuracy, val_accuracy.
    """
    epochs = without_relation["epoch"].unique()
    label_entropy = float(entropy(count_keys(torch.from_numpy(labels)[None]))[0])
    checks = [
        _values("estimate", table[table["epoch"].isin(epochs)], INFORMATION),
        *(_values(name, values, INFORMATION) for name, values in varied.items()),
        _values(SHUFFLED, without_relation, ["MI_YM"]),
        _shares("at the ceiling", "MI_XM", table, at_ceiling(table)),
        _shares("above H(Y)", "MI_YM", table, table["MI_YM"] > label_entropy + TOLERANCE),
        _shares("above I(X;M)", "MI_YM", table, table["MI_YM"] > table["MI_XM"] + TOLERANCE),
        _shares("violates the data processing inequality", "", table, table["violates_dpi"]),
        _constants("ceiling", "MI_XM", float(table["ceiling"].max())),
        _constants("H(Y)", "MI_YM", label_entropy),
        _accuracy(metrics, table["run"].unique()),
    ]
    context = {column: table[column].iloc[0] for column in _CONTEXT}
    found = pd.concat(checks).assign(**context, n_runs=table["run"].nunique())
    for name, values in varied.items():
        found.loc[found["check"] == name, "parameter"] = values["parameter"].iloc[0]
    names = table.drop_duplicates("layer").set_index("layer")["name"]
    found = found.assign(name=found["layer"].map(names).fillna(""))
    return found.reindex(columns=list(COLUMNS)).reset_index(drop=True)


def shuffled(labels: IntArray) -> IntArray:
    """The labels in an order that has nothing to do with the examples, always the same."""
    return np.random.default_rng(_SHUFFLE_SEED).permutation(labels)


def telling_epochs(epochs: Sequence[int]) -> list[int]:
    """The first, the last, and one about as far from both on a logarithmic axis."""
    middle = _middle(epochs[0], epochs[-1])
    return sorted({epochs[0], min(epochs, key=lambda epoch: abs(epoch - middle)), epochs[-1]})


def _middle(first: int, last: int) -> float:
    return float(np.sqrt((first + 1) * (last + 1)) - 1)


def may_be_telling(before: int | None, at_most: int) -> bool:
    """Whether a recorded epoch may be the first or the middle one, whichever will be the last.

    The middle one is the nearest, so none that comes after an epoch beyond the middle.

    Args:
        before: the recorded epoch before it, None if it is the first.
        at_most: the last epoch that there can be.
    """
    return before is None or before < _middle(0, at_most)


def _values(check: str, table: pd.DataFrame, measures: Sequence[str]) -> pd.DataFrame:
    long = table.melt(["epoch", "layer"], list(measures), var_name="measure")
    over_runs = long.groupby(["measure", "epoch", "layer"], as_index=False)["value"]
    report = over_runs.agg(value="mean", lowest="min", highest="max")
    return report.assign(check=check, unit="bits")


def _shares(
    check: str, measure: str, table: pd.DataFrame, flags: "pd.Series[bool]"
) -> pd.DataFrame:
    of_runs = flags.groupby([table["layer"], table["run"]]).mean().groupby("layer")
    report = of_runs.agg(value="mean", lowest="min", highest="max").reset_index()
    return report.assign(check=check, measure=measure, unit="share")


def _constants(check: str, measure: str, value: float) -> pd.DataFrame:
    row = {"check": check, "measure": measure, "value": value, "unit": "bits"}
    return pd.DataFrame([{**row, "lowest": value, "highest": value}])


def _accuracy(metrics: pd.DataFrame, runs: IntArray) -> pd.DataFrame:
    last = metrics[metrics["run"].isin(runs)].groupby("run").last()
    rows = [
        {
            "check": "accuracy",
            "measure": part,
            "epoch": last["epoch"].max(),
            "value": last[column].mean(),
            "lowest": last[column].min(),
            "highest": last[column].max(),
            "unit": "share",
        }
        for part, column in (("train", "accuracy"), ("test", "val_accuracy"))
    ]
    return pd.DataFrame(rows)
