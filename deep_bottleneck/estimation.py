"""From recorded activations to one tidy table of mutual information."""

import logging
from collections import defaultdict

import numpy as np
import pandas as pd

from deep_bottleneck.errors import EstimationError
from deep_bottleneck.interfaces import (
    Activations,
    FloatArray,
    IntArray,
    LayerInformation,
    MutualInformationEstimator,
)
from deep_bottleneck.progress import Progress

logger = logging.getLogger(__name__)

COLUMNS = ("run", "epoch", "layer", "MI_XM", "MI_YM")


def estimate(
    estimator: MutualInformationEstimator, activations: Activations, progress: Progress
) -> pd.DataFrame:
    """Estimate the mutual information of every layer at every recorded epoch.

    A value that cannot be estimated is NaN, and the log says why.

    Args:
        estimator: how to estimate.
        activations: what was recorded of one part of the data.
        progress: advanced by one for each epoch.

    Returns:
        Columns run, epoch, layer, MI_XM, MI_YM; one row for each run, epoch and layer, in this
        order; information in bits.
    """
    frames = []
    failures: dict[str, list[tuple[int, int]]] = defaultdict(list)
    labels = activations.labels
    for epoch in activations.epochs:
        runs = activations.runs(epoch)
        for layer in range(activations.n_layers):
            values = activations.layer(epoch, layer)
            try:
                information = estimator.estimate(values, labels)
            except EstimationError:
                information, reason = _run_by_run(estimator, values, labels)
                failures[reason].append((epoch, layer))
            columns = (runs, epoch, layer, information.mi_xm, information.mi_ym)
            frames.append(pd.DataFrame(dict(zip(COLUMNS, columns, strict=True))))
        progress.advance(epoch=str(epoch))
    for reason, places in failures.items():
        epoch, layer = places[0]
        logger.warning(
            "%s left NaN in %d places, the first at epoch %d, layer %d: %s",
            type(estimator).__name__,
            len(places),
            epoch,
            layer,
            reason,
        )
    table = pd.concat(frames) if frames else pd.DataFrame(columns=COLUMNS)
    return table.sort_values(["run", "epoch", "layer"], ignore_index=True)


def _run_by_run(
    estimator: MutualInformationEstimator, values: FloatArray, labels: IntArray
) -> tuple[LayerInformation, str]:
    """What can be estimated where some run cannot, and why it cannot."""
    information = np.full((2, len(values)), np.nan)
    reason = ""
    for row in range(len(values)):
        try:
            one_run = estimator.estimate(values[row : row + 1], labels)
        except EstimationError as error:
            reason = str(error)
        else:
            information[:, row] = one_run.mi_xm[0], one_run.mi_ym[0]
    return LayerInformation(*information), reason
