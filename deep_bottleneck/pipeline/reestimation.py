"""Measure a stored experiment again with other estimators, without training."""

import logging
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from deep_bottleneck.config import Config, components
from deep_bottleneck.errors import ConfigError, RecordError
from deep_bottleneck.eval_tools.artifacts import Artifact
from deep_bottleneck.eval_tools.experiment import Experiment
from deep_bottleneck.interfaces import BasePlotter, Part, Results, Status, TableName
from deep_bottleneck.measuring.activation_store import ActivationStore
from deep_bottleneck.measuring.estimators import EstimatorPlugIn, estimator_plug_ins
from deep_bottleneck.measuring.information_tables import InformationTables
from deep_bottleneck.measuring.tables import Tables, read_table
from deep_bottleneck.pipeline.figures import store_figures
from deep_bottleneck.storage.base import as_id, not_ended
from deep_bottleneck.storage.folder_store import FolderStore
from deep_bottleneck.storage.names import INFORMATION, STORE_NAME, TRUST

logger = logging.getLogger(__name__)

# what a plotter draws that says so has nothing to do with the estimator
NEEDS = ("NEEDED_TABLES", "NEEDS_ACTIVATIONS")


class _Attaching:
    """A stored experiment as what tables and figures are stored in."""

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment

    def add_artifact(self, filename: str, name: str) -> None:
        self._experiment.attach(name, filename)


def reestimate(folder: Path, estimator: Sequence[Any]) -> list[str]:
    """Add tables and pictures of other estimators to a stored experiment.

    What is there already stays, so that a call that was interrupted can be repeated.

    Args:
        folder: the local record of an experiment whose activations were kept.
        estimator: the estimators, as the config key "estimator" takes them.

    Returns:
        The names of the new artifacts, which carry the estimators' names.

    Raises:
        ConfigError: if an estimator cannot be loaded, or the experiment has all that it would add.
        RecordError: if there is no such experiment, it has not ended, it measures no part of the
            data, or it kept no activations.
    """
    records, experiment_id = FolderStore(folder.parent), as_id(folder.name)
    records.check(experiment_id)
    entry = records.entry(experiment_id)
    if entry.stored_status == Status.RUNNING:
        raise RecordError(not_ended(records, entry, "it can be estimated again"))
    experiment = Experiment(records, experiment_id)
    config = Config.parse({**experiment.config, "estimator": list(estimator)}, str(folder))
    parts = config.calculate_mi_for
    if not parts:
        raise RecordError(
            f'{folder} has "calculate_mi_for": []: there is no part of the data to estimate'
        )
    before = experiment.artifacts
    plug_ins = _by_entry(config)
    path = folder / STORE_NAME
    if not path.exists():
        raise RecordError(
            f"{folder} has no {STORE_NAME}: only an experiment with "
            '"keep_activations": true can be estimated again'
        )
    with tempfile.TemporaryDirectory() as scratch, ActivationStore(path) as store:
        store.check()
        record = _Attaching(experiment)
        tables = Tables(record, Path(scratch))
        n_classes = int(store.part("full").labels.max()) + 1
        values = {**config.hyperparameters, "n_classes": n_classes}
        measured: dict[TableName, pd.DataFrame] = {}
        for part in parts:
            stored = _stored_tables(before, plug_ins, part)
            tables.by_name.update(stored)
            measured |= _completed(part, plug_ins, values, store, tables)
        results = Results(measured, store.metrics(), config.plot_median, tables.by_name)
        plotters = _plotters(config, values)
        store_figures(plotters, results, record, Path(scratch), known=before, svg=config.svg)
    added = [name for name in experiment.artifacts if name not in before]
    if not added:
        raise ConfigError(
            f'"estimator": the experiment has been estimated with {", ".join(plug_ins)} already'
        )
    return added


def _by_entry(config: Config) -> dict[str, EstimatorPlugIn]:
    """The estimators by their names with parameters, which tables of other calls do not have."""
    return {
        plug_in.entry if plug_in.has_parameter else name: plug_in
        for name, plug_in in estimator_plug_ins(config).items()
    }


def _stored_tables(
    stored: Mapping[str, Artifact], estimators: Iterable[str], part: Part
) -> dict[str, pd.DataFrame]:
    """Those tables of a part of the data that are there already, by the name of the artifact."""
    names = [
        f"{kind}{TableName(name, part)}" for name in estimators for kind in (INFORMATION, TRUST)
    ]
    return {name: read_table(stored[name].read(), name) for name in names if name in stored}


def _completed(
    part: Part,
    plug_ins: Mapping[str, EstimatorPlugIn],
    values: Mapping[str, Any],
    store: ActivationStore,
    tables: Tables,
) -> dict[TableName, pd.DataFrame]:
    """The tables of information of a part of the data; what is missing is measured and stored."""
    names = {name: TableName(name, part) for name in plug_ins}
    known = {
        name: tables.by_name[f"{INFORMATION}{of_part}"]
        for name, of_part in names.items()
        if f"{INFORMATION}{of_part}" in tables.by_name
    }
    incomplete = {
        name: plug_in
        for name, plug_in in plug_ins.items()
        if name not in known or f"{TRUST}{names[name]}" not in tables.by_name
    }
    recording = store.part(part)
    missing = InformationTables(part, incomplete, values, recording, tables, known=known)
    missing.replay(recording)
    found = missing.store(store.metrics())
    return {
        of_part: found[of_part] if of_part in found else known[name]
        for name, of_part in names.items()
    }


def _plotters(config: Config, values: Mapping[str, Any]) -> list[BasePlotter]:
    """The plotters of the experiment that need nothing but the tables of information."""
    loaded = []
    for entry in config.plotters_and_reports:
        component = components.find("plotters", entry.path, entry.arguments, entry.keywords)
        try:
            component.check(values)
        except ConfigError as error:
            logger.info("Not drawn again: %s", error)
            continue
        if not any(hasattr(component.module, need) for need in NEEDS):
            loaded.append(component.load_as(BasePlotter, values))
    return loaded
