"""From recorded activations to one tidy table of mutual information."""

import logging
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from deep_bottleneck.errors import EstimationError
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
    "MI_XM",
    "MI_YM",
    "error_XM",
    "error_YM",
    "ceiling",
    "violates_dpi",
)
NUMBERS = ("run", "epoch", "layer", "MI_XM", "MI_YM", "error_XM", "error_YM", "ceiling")
# Numerical differences of equal informations stay far below this, in bits.
TOLERANCE = 1e-3

Failures = dict[str, list[tuple[int, int]]]
"""For each reason why a value is NaN the epochs and layers."""


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
        - run, epoch, layer;
        - MI_XM, MI_YM: I(X;M) and I(Y;M) in bits;
        - error_XM, error_YM: their standard errors in bits, NaN where the method has none;
        - ceiling: the largest MI_XM that the method could have answered;
        - violates_dpi: whether the layer knows more than an earlier one, by more than the errors,
          which contradicts the data processing inequality.
    """
    frames = []
    failures: Failures = {}
    labels = activations.labels if labels is None else labels
    estimator = fitted(estimator, activations)
    for epoch in activations.epochs if epochs is None else epochs:
        layers = (activations.layer(epoch, layer) for layer in range(activations.n_layers))
        frames.append(
            estimate_layers(estimator, epoch, activations.runs(epoch), layers, labels, failures)
        )
        progress.advance(epoch=str(epoch))
    say_what_failed(failures, estimator.method, part)
    return tidy(frames, estimator.method, part, len(labels), activations.n_layers)


def estimate_layers(
    estimator: MutualInformationEstimator,
    epoch: int,
    runs: IntArray,
    layers: Iterable[FloatArray],
    labels: IntArray,
    failures: Failures,
) -> pd.DataFrame:
    """Estimate the mutual information of every layer at one epoch.

    Args:
        estimator: as `fitted` gives it.
        epoch: the epoch.
        runs: the numbers of the runs.
        layers: the activations of each layer, shape (runs, n_examples, n_units).
        labels: shape (n_examples,).
        failures: why a value is NaN, with every epoch and layer; added to.

    Returns:
        One row for each layer and run, with the columns `NUMBERS`.
    """
    frames = []
    for layer, values in enumerate(layers):
        of_layer = estimator.for_layer(layer)
        try:
            information = of_layer.estimate(values, labels)
        except EstimationError:
            information = _run_by_run(of_layer, values, labels)
        for reason in information.reasons:
            failures.setdefault(reason, []).append((epoch, layer))
        frames.append(_frame(runs, epoch, layer, information))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=NUMBERS)


def say_what_failed(failures: Failures, method: Method, part: Part) -> None:
    """Log each reason why values are NaN, once."""
    for reason, places in failures.items():
        epoch, layer = places[0]
        logger.warning(
            "The estimator %s left NaN in %d places of the %s data, the first at epoch %d, "
            "layer %d: %s",
            method,
            len(places),
            part,
            epoch,
            layer,
            reason,
        )


def tidy(
    frames: Sequence[pd.DataFrame], method: Method, part: Part, n_examples: int, n_layers: int
) -> pd.DataFrame:
    """One table, as `estimate` describes it, of what `estimate_layers` gave for some epochs."""
    table = pd.concat(frames) if frames else pd.DataFrame(columns=NUMBERS)
    table = table.sort_values(["run", "epoch", "layer"], ignore_index=True)
    table = table.assign(
        estimator=method.name,
        parameter=method.parameter,
        bounds=method.bounds,
        geometric=method.geometric,
        part=part,
        n_examples=n_examples,
        unit="bits",
        violates_dpi=_violations(table, n_layers),
    )
    return table[list(COLUMNS)]


def fitted(
    estimator: MutualInformationEstimator, activations: Activations
) -> MutualInformationEstimator:
    """The estimator for a recording; one that leaves NaN where the recording does not fit it."""
    try:
        return estimator.fitted(activations)
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


def _frame(runs: IntArray, epoch: int, layer: int, information: LayerInformation) -> pd.DataFrame:
    values = {
        "run": runs,
        "epoch": epoch,
        "layer": layer,
        "MI_XM": information.mi_xm,
        "MI_YM": information.mi_ym,
        "error_XM": np.nan if information.error_xm is None else information.error_xm,
        "error_YM": np.nan if information.error_ym is None else information.error_ym,
        "ceiling": information.ceiling,
    }
    return pd.DataFrame(values)


def _violations(table: pd.DataFrame, n_layers: int) -> BoolArray:
    """Which rows, sorted by run, epoch and layer, exceed an earlier layer of their network.

    A deterministic network is a Markov chain Y - X - M_1 - M_2 ..., along which neither I(X;M) nor
    I(Y;M) can grow (Cover & Thomas 2006, theorem 2.8.1).
    """
    earlier = np.triu(np.ones((n_layers, n_layers), dtype=bool), k=1)
    violated = np.zeros(len(table), dtype=bool)
    for value, error in (("MI_XM", "error_XM"), ("MI_YM", "error_YM")):
        information = table[value].to_numpy(np.float64).reshape(-1, n_layers)
        variance = np.nan_to_num(table[error].to_numpy(np.float64)).reshape(-1, n_layers) ** 2
        gain = information[:, None, :] - information[:, :, None]
        allowed = np.sqrt(variance[:, None, :] + variance[:, :, None]) + TOLERANCE
        violated |= ((gain > allowed) & earlier).any(axis=1).ravel()
    return violated


def _run_by_run(
    estimator: MutualInformationEstimator, values: FloatArray, labels: IntArray
) -> LayerInformation:
    """What can be estimated where some run cannot, and why it cannot."""
    found = np.full((4, len(values)), np.nan)
    reasons: list[str] = []
    ceiling = np.nan
    for row in range(len(values)):
        try:
            one_run = estimator.estimate(values[row : row + 1], labels)
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
