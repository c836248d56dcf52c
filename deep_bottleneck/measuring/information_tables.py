"""From an activation store to tables of mutual information, through one estimator or several."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from deep_bottleneck.interfaces import Part
from deep_bottleneck.machine.progress import progress
from deep_bottleneck.measuring.activation_store import ActivationStore
from deep_bottleneck.measuring.estimation import estimate
from deep_bottleneck.measuring.estimators import EstimatorPlugIn
from deep_bottleneck.measuring.tables import Tables
from deep_bottleneck.measuring.trust import VARIATIONS, at_ceiling, trust_report
from deep_bottleneck.storage.names import INFORMATION, TRUST

logger = logging.getLogger(__name__)


def measure(
    plug_ins: Mapping[str, EstimatorPlugIn],
    values: Mapping[str, Any],
    store: ActivationStore,
    parts: Sequence[Part],
    tables: Tables,
) -> dict[str, pd.DataFrame]:
    """Estimate mutual information, and how far it can be trusted, with each estimator.

    Every table is stored as soon as it is there: `information_measures_<name>` and
    `trust_<name>`, where the name is that of the part, after the estimator's where that has one.

    Args:
        plug_ins: the estimators by their name, which is "" for the only one of an experiment.
        values: what they may ask for, by name.
        store: what was recorded.
        parts: the parts of the data to measure.
        tables: where the tables go.

    Returns:
        The tables of information by their name.

    Raises:
        ConfigError: as for `EstimatorPlugIn.load`.
    """
    loaded = {name: plug_in.load(values) for name, plug_in in plug_ins.items()}
    measured = {}
    for part in parts:
        recording = store.part(part)
        for estimator_name, estimator in loaded.items():
            name = table_name(estimator_name, part)
            with progress(f"Estimating ({name})", len(recording.epochs)) as bar:
                measured[name] = estimate(estimator, recording, part, bar)
            store_information(name, measured[name], tables)
            variants = plug_ins[estimator_name].varied(values, VARIATIONS)
            report = trust_report(measured[name], estimator, variants, recording, store.metrics())
            store_trust(name, report, tables)
    return measured


def table_name(estimator_name: str, part: Part) -> str:
    """What a table of information is called: its part, after the estimator's name if it has one."""
    return f"{estimator_name}_{part}" if estimator_name else part


def store_information(name: str, table: pd.DataFrame, tables: Tables) -> None:
    """Store a table of information, as `estimate` gives it, and say if it is saturated."""
    tables.add(f"{INFORMATION}{name}", table)
    _say_if_saturated(table)


def store_trust(name: str, report: pd.DataFrame, tables: Tables) -> None:
    """Store the trust report of a table of information."""
    tables.add(f"{TRUST}{name}", report)


def _say_if_saturated(table: pd.DataFrame) -> None:
    known = table.dropna(subset="MI_XM")
    share = at_ceiling(known).mean()
    if share > 0.5:
        row = known.iloc[0]
        logger.warning(
            "%.0f %% of the values of I(X;M) by %s (%s data) are at their ceiling of %.2f bits: "
            "there the method tells all %d examples apart, and can say no more about the layer.",
            100 * share,
            row["estimator"],
            row["part"],
            row["ceiling"],
            row["n_examples"],
        )
