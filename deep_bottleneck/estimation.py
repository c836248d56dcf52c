"""From recorded activations to one tidy table of mutual information."""

import logging
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pandas as pd

from deep_bottleneck.errors import EstimationError
from deep_bottleneck.interfaces import (
    Activations,
    BoolArray,
    FloatArray,
    IntArray,
    LayerInformation,
    MutualInformationEstimator,
    Part,
)
from deep_bottleneck.progress import Progress

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
# Numerical differences of equal informations stay far below this, in bits.
TOLERANCE = 1e-3


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
    failures: dict[str, list[tuple[int, int]]] = defaultdict(list)
    labels = activations.labels if labels is None else labels
    fitted = _fitted(estimator, activations)
    for epoch in activations.epochs if epochs is None else epochs:
        runs = activations.runs(epoch)
        for layer in range(activations.n_layers):
            values = activations.layer(epoch, layer)
            of_layer = fitted.for_layer(layer)
            try:
                information = of_layer.estimate(values, labels)
            except EstimationError:
                information = _run_by_run(of_layer, values, labels)
            for reason in information.reasons:
                failures[reason].append((epoch, layer))
            frames.append(_frame(runs, epoch, layer, information))
        progress.advance(epoch=str(epoch))
    for reason, places in failures.items():
        epoch, layer = places[0]
        logger.warning(
            "The estimator %s left NaN in %d places of the %s data, the first at epoch %d, "
            "layer %d: %s",
            estimator.method,
            len(places),
            part,
            epoch,
            layer,
            reason,
        )
    table = pd.concat(frames) if frames else pd.DataFrame(columns=COLUMNS)
    table = table.sort_values(["run", "epoch", "layer"], ignore_index=True)
    method = estimator.method
    table = table.assign(
        estimator=method.name,
        parameter=method.parameter,
        bounds=method.bounds,
        geometric=method.geometric,
        part=part,
        n_examples=len(labels),
        unit="bits",
        violates_dpi=_violations(table, activations.n_layers),
    )
    return table[list(COLUMNS)]


def _fitted(
    estimator: MutualInformationEstimator, activations: Activations
) -> MutualInformationEstimator:
    try:
        return estimator.fitted(activations)
    except EstimationError as error:
        return _Undefined(str(error))


class _Undefined(MutualInformationEstimator):
    """Stands for an estimator that a whole recording does not fit."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

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
