"""How far an information plane can be trusted: one small table for each plane."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch

from deep_bottleneck.information.discrete import count_keys, entropy
from deep_bottleneck.interfaces import (
    Activations,
    IntArray,
    MutualInformationEstimator,
)
from deep_bottleneck.machine.progress import progress
from deep_bottleneck.measuring.estimation import TOLERANCE, estimate

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
        table; check, measure, epoch and layer (NaN where a check has none); value, the mean over
        runs; lowest and highest, the range over runs; unit.
    """
    if table.empty:
        return pd.DataFrame(columns=COLUMNS)
    labels = recording.labels
    epochs = telling_epochs(recording.epochs)

    with progress("Checking", len(epochs) * (len(variants) + 1)) as bar:

        def again(method: MutualInformationEstimator, against: IntArray = labels) -> pd.DataFrame:
            return estimate(method, recording, table["part"].iloc[0], bar, epochs, against)

        varied = {name: again(variant) for name, variant in variants.items()}
        without_relation = again(estimator, shuffled(labels))
    return report(table, varied, without_relation, labels, metrics)


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
        without_relation: such a table of shuffled labels at the telling epochs.
        labels: the labels, shape (n_examples,).
        metrics: columns run, epoch, accuracy, val_accuracy.
    """
    epochs = telling_epochs(sorted(table["epoch"].unique()))
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
