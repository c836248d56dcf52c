"""Measure a stored experiment again with other estimators, without training."""

import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deep_bottleneck import components
from deep_bottleneck.activation_store import ActivationStore
from deep_bottleneck.config import Config
from deep_bottleneck.errors import ConfigError, RecordError
from deep_bottleneck.eval_tools.experiment import Experiment
from deep_bottleneck.figures import store_figures
from deep_bottleneck.interfaces import BasePlotter, Results
from deep_bottleneck.measurement import EstimatorPlugIn, estimator_plug_ins, measure
from deep_bottleneck.records.base import as_id
from deep_bottleneck.records.local import LocalStore
from deep_bottleneck.settings import STORE_NAME
from deep_bottleneck.tables import Tables

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

    Args:
        folder: the local record of an experiment whose activations were kept.
        estimator: the estimators, as the config key "estimator" takes them.

    Returns:
        The names of the new artifacts, which carry the estimators' names.

    Raises:
        ConfigError: if an estimator cannot be loaded, or has measured this experiment already.
        RecordError: if there is no such experiment, it has not ended, or it kept no activations.
    """
    records, experiment_id = LocalStore(folder.parent), as_id(folder.name)
    records.check(experiment_id)
    experiment = Experiment(records, experiment_id)
    config = Config.parse({**experiment.config, "estimator": list(estimator)}, str(folder))
    before = set(experiment.artifacts)
    plug_ins = _new_names(estimator_plug_ins(config), config, before)
    path = folder / STORE_NAME
    if not path.exists():
        raise RecordError(
            f"{folder} has no {STORE_NAME}: only an experiment with "
            '"keep_activations": true can be estimated again'
        )
    with tempfile.TemporaryDirectory() as scratch, ActivationStore(path) as store:
        record = _Attaching(experiment)
        tables = Tables(record, Path(scratch))
        n_classes = int(store.part("full").labels.max()) + 1
        values = {**config.hyperparameters, "n_classes": n_classes}
        measured = measure(plug_ins, values, store, config.calculate_mi_for, tables)
        results = Results(measured, store.metrics(), config.plot_median, tables.by_name)
        plotters = _plotters(config, values)
        store_figures(plotters, results, record, Path(scratch), known=before, svg=config.svg)
    return [name for name in experiment.artifacts if name not in before]


def _new_names(
    plug_ins: Mapping[str, EstimatorPlugIn], config: Config, taken: set[str]
) -> dict[str, EstimatorPlugIn]:
    """The estimators by their full names, which no table of the experiment may have."""
    found = {}
    for (name, plug_in), chosen in zip(plug_ins.items(), config.estimators.values(), strict=True):
        full_name = chosen.full_name if plug_in.has_parameter else name
        if taken & {f"information_measures_{full_name}_{part}" for part in config.calculate_mi_for}:
            raise ConfigError(
                f'"estimator": the experiment has been estimated with {full_name} already'
            )
        found[full_name] = plug_in
    return found


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
            loaded.append(component.load(values))
    return loaded
