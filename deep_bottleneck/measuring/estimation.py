"""From recorded activations to one tidy table of mutual information."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch

from deep_bottleneck.config.messages import named, said
from deep_bottleneck.errors import ConfigError, EstimationError, RecordError
from deep_bottleneck.information.discrete import Counts, count_rows
from deep_bottleneck.information.renyi import renyi_entropy
from deep_bottleneck.interfaces import (
    Activations,
    BoolArray,
    FloatArray,
    IntArray,
    LayerInformation,
    Method,
    MutualInformationEstimator,
    Part,
)
from deep_bottleneck.machine.device import to_host
from deep_bottleneck.machine.progress import Progress

logger = logging.getLogger(__name__)

COLUMNS = (
    "estimator",
    "parameter",
    "bounds",
    "geometric",
    "part",
    "n_examples",
    "unit",
    "run",
    "epoch",
    "layer",
    "name",
    "MI_XM",
    "MI_YM",
    "error_XM",
    "error_YM",
    "ceiling",
    "violates_dpi",
)
NUMBERS = ("run", "epoch", "layer", "name", "MI_XM", "MI_YM", "error_XM", "error_YM", "ceiling")
Rows = Mapping[str, np.ndarray[Any, Any]]
"""Some rows of a table, by its columns `NUMBERS`: a frame for each layer would take far longer."""
# Numerical differences of equal informations stay far below this, in bits.
TOLERANCE = 1e-3


class InformationTable:
    """Mutual information of one part of the data by one estimator, gathered layer by layer.

    Attributes:
        estimator: how it is estimated.
    """

    def __init__(
        self,
        estimator: MutualInformationEstimator,
        part: Part,
        labels: IntArray,
        inputs: Counts | None = None,
    ) -> None:
        """Begin an empty table.

        Args:
            estimator: as `fitted` gives it.
            part: which part of the data is observed.
            labels: the label of each example, shape (n_examples,).
            inputs: how often each input occurs, None if that is not known.
        """
        self.estimator = estimator
        self._part = part
        self._labels = labels
        self._input_entropy = (
            math.inf if inputs is None else renyi_entropy(inputs, estimator.order).item()
        )
        self._rows: list[Rows] = []
        # for each reason why a value is NaN the epochs and layers
        self._failures: dict[str, list[tuple[int, int]]] = {}

    def observe(
        self, epoch: int, runs: IntArray, layer: int, activations: "LayerActivations"
    ) -> Rows:
        """Estimate the mutual information of a layer at an epoch, and keep it.

        Args:
            epoch: the epoch.
            runs: the numbers of the runs.
            layer: the number of the layer; an epoch's layers are observed in their order.
            activations: those of the layer.

        Returns:
            One row for each run.

        Raises:
            ConfigError: if the estimator gives something else than it should.
        """
        values = activations.taken_by(self.estimator)
        try:
            information = self._estimated(runs, layer, values)
        except EstimationError:
            information = _run_by_run(
                lambda row: self._estimated(runs[row], layer, values[row]), len(values)
            )
        for reason in information.reasons:
            self._failures.setdefault(reason, []).append((epoch, layer))
        rows = _rows(runs, epoch, layer, activations.name, information, self._input_entropy)
        self._rows.append(rows)
        return rows

    def _estimated(self, runs: IntArray, layer: int, values: Any) -> LayerInformation:
        of_runs = _given(self.estimator, "for_runs()", self.estimator.for_runs(runs))
        of_layer = _given(of_runs, "for_layer()", of_runs.for_layer(layer))
        information = of_layer.estimate(values, self._labels)
        _check_information(of_layer, information, len(values))
        return information

    def forget(self, epoch: int) -> None:
        """Be as if an epoch, the last, had never been observed."""
        self._rows = [rows for rows in self._rows if rows["epoch"][0] != epoch]
        for reason, places in [*self._failures.items()]:
            others = [place for place in places if place[0] != epoch]
            if others:
                self._failures[reason] = others
            else:
                del self._failures[reason]

    def table(self) -> pd.DataFrame:
        """All that was observed, as `estimate` describes it."""
        return self.tidy(self._rows)

    def tidy(self, observed: Sequence[Rows]) -> pd.DataFrame:
        """A table, as `estimate` describes it, of some of what `observe` gave."""
        if not observed:
            return pd.DataFrame(columns=list(COLUMNS))
        rows = _joined(observed)
        order = np.lexsort([rows[name] for name in ("layer", "epoch", "run")])
        rows = {name: values[order] for name, values in rows.items()}
        method = self.estimator.method
        of_all = {
            "estimator": method.name,
            "parameter": method.parameter,
            "bounds": method.bounds,
            "geometric": method.geometric,
            "part": self._part,
            "n_examples": len(self._labels),
            "unit": "bits",
        }
        return pd.DataFrame(
            {**of_all, **rows, "violates_dpi": _violations(rows)}, columns=list(COLUMNS)
        )

    def say_what_failed(self) -> None:
        """Log each reason why values are NaN, once."""
        for reason, places in self._failures.items():
            epoch, layer = places[0]
            logger.warning(
                "The estimator %s left NaN in %d places of the %s data, the first at epoch %d, "
                "layer %d: %s",
                self.estimator.method,
                len(places),
                self._part,
                epoch,
                layer,
                reason,
            )

    def state(self) -> dict[str, Any]:
        """What was observed so far, for `restore`."""
        if self._rows:
            # a checkpoint takes long to write thousands of small tables
            self._rows = [_joined(self._rows)]
        numbers = [pd.DataFrame(rows) for rows in self._rows]
        return {"numbers": numbers, "failures": dict(self._failures)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what another table of the same estimator, part and labels had observed."""
        self._rows = [
            {name: frame[name].to_numpy() for name in NUMBERS} for frame in state["numbers"]
        ]
        self._failures = {
            reason: [(int(epoch), int(layer)) for epoch, layer in places]
            for reason, places in state["failures"].items()
        }


class LayerActivations:
    """The activations of one layer at one epoch, copied from their device at most once.

    Attributes:
        name: what the layer is called, "" if that is not known.
    """

    def __init__(self, values: torch.Tensor | FloatArray, name: str = "") -> None:
        """Hold values of shape (runs, n_examples, n_units)."""
        self._values = values
        self.name = name

    def taken_by(self, estimator: MutualInformationEstimator) -> Any:
        """The values in a form that an estimator takes: as they are, or as an array."""
        return self._values if estimator.takes_tensors else self._array

    @cached_property
    def _array(self) -> FloatArray:
        (array,) = to_host([self._values])
        return array


def estimate(
    estimator: MutualInformationEstimator,
    activations: Activations,
    part: Part,
    progress: Progress,
    epochs: Sequence[int] | None = None,
    labels: IntArray | None = None,
) -> pd.DataFrame:
    """Estimate the mutual information of every layer at every recorded epoch.

    A value that cannot be estimated is NaN, and the log says why.

    Args:
        estimator: how to estimate.
        activations: what was recorded of one part of the data.
        part: which part that is.
        progress: advanced by one for each epoch.
        epochs: which of the recorded epochs, None for all.
        labels: instead of the recorded ones, shape (n_examples,).

    Returns:
        One row for each run, epoch and layer, in this order, with the columns

        - estimator, parameter, bounds, geometric (see `Method`), part, n_examples, unit: how and
          of what the values were estimated;
        - run, epoch, layer, name: the layer's number and what it is called;
        - MI_XM, MI_YM: I(X;M) and I(Y;M) in bits;
        - error_XM, error_YM: their standard errors in bits, NaN where the method has none;
        - ceiling: the largest MI_XM that the method could have answered, or the entropy of the
          inputs where that is smaller because inputs repeat;
        - violates_dpi: whether the layer knows more than an earlier one, by more than the errors,
          which contradicts the data processing inequality if layers are a chain. Where a branch or
          a skip connection goes past the earlier one, it need not.
    """
    labels = activations.labels if labels is None else labels
    inputs = counted_inputs(activations)
    gathered = InformationTable(fitted(estimator, activations), part, labels, inputs)
    for epoch in activations.epochs if epochs is None else epochs:
        runs = activations.runs(epoch)
        for layer, name in enumerate(activations.layer_names):
            values = LayerActivations(activations.layer(epoch, layer), name)
            gathered.observe(epoch, runs, layer, values)
        progress.advance(epoch=str(epoch))
    gathered.say_what_failed()
    return gathered.table()


def counted_inputs(activations: Activations) -> Counts | None:
    """How often each input of a recording occurs; None where it does not hold the inputs."""
    try:
        return count_rows(activations.examples)
    except RecordError as error:
        logger.warning("Ceilings are those of inputs that do not repeat: %s", error)
        return None


def fitted(
    estimator: MutualInformationEstimator, activations: Activations
) -> MutualInformationEstimator:
    """The estimator for a recording; one that leaves NaN where the recording does not fit it.

    Raises:
        ConfigError: if the estimator gives something else.
    """
    try:
        return _given(estimator, "fitted()", estimator.fitted(activations))
    except EstimationError as error:
        return _Undefined(estimator.method, str(error))


class _Undefined(MutualInformationEstimator):
    """Stands for an estimator that a whole recording does not fit."""

    def __init__(self, method: Method, reason: str) -> None:
        self._method = method
        self._reason = reason

    @property
    def method(self) -> Method:
        return self._method

    def estimate(self, activations: FloatArray, labels: IntArray) -> LayerInformation:
        raise EstimationError(self._reason)


def _given(
    estimator: MutualInformationEstimator, by: str, found: MutualInformationEstimator
) -> MutualInformationEstimator:
    if not isinstance(found, MutualInformationEstimator):
        raise _mistake(estimator, by, found, "a MutualInformationEstimator")
    return found


def _check_information(
    estimator: MutualInformationEstimator, found: LayerInformation, n_runs: int
) -> None:
    if not isinstance(found, LayerInformation):
        raise _mistake(estimator, "estimate()", found, "a LayerInformation")
    for name in ("mi_xm", "mi_ym", "error_xm", "error_ym"):
        values = getattr(found, name)
        is_error = name.startswith("error")
        if np.shape(values) != (n_runs,) and not (is_error and values is None):
            raise ConfigError(
                f'"estimator": {named(estimator)} gave {name} of shape {np.shape(values)} for '
                f"{n_runs} runs, expected one number for each"
            )


def _mistake(
    estimator: MutualInformationEstimator, by: str, found: object, wanted: str
) -> ConfigError:
    return ConfigError(
        f'"estimator": {by} of {named(estimator)} gave {said(found)}, expected {wanted}'
    )


def _rows(
    runs: IntArray,
    epoch: int,
    layer: int,
    name: str,
    information: LayerInformation,
    input_entropy: float,
) -> Rows:
    values = {
        "run": runs,
        "epoch": epoch,
        "layer": layer,
        "name": np.array(name, dtype=object),
        "MI_XM": information.mi_xm,
        "MI_YM": information.mi_ym,
        "error_XM": np.nan if information.error_xm is None else information.error_xm,
        "error_YM": np.nan if information.error_ym is None else information.error_ym,
        "ceiling": np.minimum(information.ceiling, input_entropy),
    }
    # copies: what an estimator gave is its own, and may be written over
    return {column: np.array(np.broadcast_to(v, len(runs))) for column, v in values.items()}


def _joined(rows: Sequence[Rows]) -> Rows:
    return {name: np.concatenate([some[name] for some in rows]) for name in NUMBERS}


def _violations(rows: Rows) -> BoolArray:
    """Which rows, sorted by run, epoch and layer, exceed an earlier layer of their network.

    A deterministic network whose layers follow each other is a Markov chain Y - X - M_1 - M_2 ...,
    along which neither I(X;M) nor I(Y;M) can grow (Cover & Thomas 2006, theorem 2.8.1).
    """
    n_layers = len(np.unique(rows["layer"]))
    earlier = np.triu(np.ones((n_layers, n_layers), dtype=bool), k=1)
    violated = np.zeros(len(rows["layer"]), dtype=bool)
    for value, error in (("MI_XM", "error_XM"), ("MI_YM", "error_YM")):
        information = rows[value].astype(np.float64).reshape(-1, n_layers)
        variance = np.nan_to_num(rows[error].astype(np.float64)).reshape(-1, n_layers) ** 2
        gain = information[:, None, :] - information[:, :, None]
        allowed = np.sqrt(variance[:, None, :] + variance[:, :, None]) + TOLERANCE
        violated |= ((gain > allowed) & earlier).any(axis=1).ravel()
    return violated


def _run_by_run(estimated: Callable[[slice], LayerInformation], n_runs: int) -> LayerInformation:
    """What can be estimated where some run cannot, and why it cannot."""
    found = np.full((4, n_runs), np.nan)
    reasons: list[str] = []
    ceiling = np.nan
    for row in range(n_runs):
        try:
            one_run = estimated(slice(row, row + 1))
        except EstimationError as error:
            reasons.append(str(error))
        else:
            found[:2, row] = one_run.mi_xm[0], one_run.mi_ym[0]
            if one_run.error_xm is not None and one_run.error_ym is not None:
                found[2:, row] = one_run.error_xm[0], one_run.error_ym[0]
            ceiling = one_run.ceiling
            reasons.extend(one_run.reasons)
    mi_xm, mi_ym, error_xm, error_ym = found
    different = tuple(dict.fromkeys(reasons))
    return LayerInformation(mi_xm, mi_ym, ceiling, error_xm, error_ym, different)
