"""Data -> models -> training -> tables -> figures. Knows no Sacred."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd
import torch

from deep_bottleneck.config import Config
from deep_bottleneck.errors import RecordError
from deep_bottleneck.interfaces import Activations, FloatArray, Part, Record, Results, TableName
from deep_bottleneck.machine.disk_space import leftovers
from deep_bottleneck.machine.progress import progress
from deep_bottleneck.measuring.activation_store import ActivationStore, ActivationWriter
from deep_bottleneck.measuring.information_recorder import InformationRecorder, inputs_of
from deep_bottleneck.measuring.information_tables import InformationTables
from deep_bottleneck.pipeline.figures import store_figures
from deep_bottleneck.pipeline.loading import LoadedExperiment, load_callbacks, load_experiment
from deep_bottleneck.pipeline.plan import Plan
from deep_bottleneck.storage.names import STORE_NAME
from deep_bottleneck.training.continuation import Checkpoints
from deep_bottleneck.training.ensemble import Ensemble
from deep_bottleneck.training.layers import layer_outputs, tell_of_layers_left_out
from deep_bottleneck.training.preemption import Preemption
from deep_bottleneck.training.schedule import default_schedule
from deep_bottleneck.training.targets import tell_of_odd_rules

logger = logging.getLogger(__name__)

# what plotters of activations draw where no part of the data is measured
DRAWN_PARTS: tuple[Part, ...] = ("train", "test")


def run_experiment(
    config: Config,
    plan: Plan,
    record: Record,
    folder: Path,
    preemption: Preemption | None = None,
    before: Path | None = None,
) -> dict[str, FloatArray]:
    """Train, measure and draw; every result is stored as soon as it is there.

    Args:
        config: the hyperparameters; the seed must be set.
        plan: its plug-ins.
        record: where numbers and files are stored.
        folder: where the activation store and files on their way to the record are kept.
        preemption: says whether the time is up.
        before: the folder of an unfinished experiment of the same config to go on from.

    Returns:
        The final accuracy on "train" and "test" examples, of shape (n_runs,).

    Raises:
        ConfigError: if a plug-in's `load` returns something else than it should.
        DataError: if the data set cannot be trained on.
        TimeIsUp: if the time is up.
    """
    checkpoints = Checkpoints(folder, preemption or Preemption(), before)
    experiment = load_experiment(config, plan, record, folder)
    observing = _live_tables(experiment) if experiment.measures_live else []
    _train(experiment, observing, checkpoints)
    with ActivationStore(experiment.store_path) as store:
        measured = _stored(observing or _recorded_tables(experiment, store), store)
        results = _results(experiment, measured, store)
        store_figures(experiment.plotters, results, record, folder, svg=config.svg)
    _forget_what_is_no_more_needed(experiment, checkpoints)
    last = results.metrics.groupby("run").last()
    return {"train": last["accuracy"].to_numpy(), "test": last["val_accuracy"].to_numpy()}


def _live_tables(experiment: LoadedExperiment) -> list[InformationTables]:
    """Tables of information that observe the networks while they train."""
    names = [layer.name for layer in layer_outputs(experiment.models[0])]
    return _tables(
        experiment, lambda part: inputs_of(experiment.dataset, part, names), experiment.device
    )


def _recorded_tables(
    experiment: LoadedExperiment, store: ActivationStore
) -> Iterator[InformationTables]:
    """Tables of information that have observed what was recorded, one part after the other."""
    for tables in _tables(experiment, store.part):
        tables.replay(store.part(tables.part))
        yield tables


def _tables(
    experiment: LoadedExperiment,
    inputs: Callable[[Part], Activations],
    device: torch.device | None = None,
) -> list[InformationTables]:
    return [
        InformationTables(
            part,
            experiment.estimators,
            experiment.values_by_name,
            inputs(part),
            experiment.tables,
            device=device,
        )
        for part in experiment.config.calculate_mi_for
    ]


def _train(
    experiment: LoadedExperiment, observing: Sequence[InformationTables], checkpoints: Checkpoints
) -> None:
    """Train all runs, let callbacks record them, and tables observe them."""
    config, dataset, models = experiment.config, experiment.dataset, experiment.models
    layers = layer_outputs(models[0])
    tell_of_layers_left_out(models[0])
    tell_of_odd_rules(models[0])
    units, names = [layer.n_units for layer in layers], [layer.name for layer in layers]
    path, n_runs = experiment.store_path, config.n_runs
    with (
        ActivationWriter(path, dataset, units, n_runs, config.epochs, layer_names=names) as writer,
        progress("Training", config.epochs) as bar,
        checkpoints.preemption.at_epoch_ends(),
    ):
        values = {
            **experiment.values_by_name,
            "run": checkpoints.noted(experiment.record),
            "writer": writer,
            "schedule": default_schedule,
            "training_progress": bar,
        }
        recorders, of_runs = load_callbacks(experiment.callbacks, values, n_runs)
        if observing:
            recorders.append(
                InformationRecorder(
                    observing,
                    dataset,
                    default_schedule,
                    config.epochs,
                    may_stop_early=any(of_runs),
                )
            )
        folder_before = checkpoints.goes_on_from(models, of_runs, recorders)
        if folder_before is not None:
            _take_over(folder_before, writer, checkpoints)
        Ensemble(models, config.seed or 0, experiment.device).fit(
            dataset,
            config.epochs,
            config.batch_size,
            config.steps_per_epoch,
            callbacks=of_runs,
            recorders=recorders,
            checkpoints=checkpoints,
        )


def _take_over(folder: Path, writer: ActivationWriter, checkpoints: Checkpoints) -> None:
    """Take over what was recorded before; where that is damaged, training starts anew."""
    try:
        writer.copy(folder / STORE_NAME)
    except RecordError as error:
        logger.warning("%s: training starts anew", error)
        checkpoints.last = None


def _stored(
    observed: Iterable[InformationTables], store: ActivationStore
) -> dict[TableName, pd.DataFrame]:
    """Store each table as soon as it is there."""
    metrics = store.metrics()
    return {name: table for tables in observed for name, table in tables.store(metrics).items()}


def _results(
    experiment: LoadedExperiment,
    measured: Mapping[TableName, pd.DataFrame],
    store: ActivationStore,
) -> Results:
    """What plotters read; the table of gradients is stored first, if there is one."""
    config, gradients = experiment.config, store.gradients()
    if not gradients.empty:
        experiment.tables.add("gradients", gradients)
    return Results(
        measured,
        store.metrics(),
        config.plot_median,
        experiment.tables.by_name,
        {part: store.part(part) for part in config.calculate_mi_for or DRAWN_PARTS},
    )


def _forget_what_is_no_more_needed(experiment: LoadedExperiment, checkpoints: Checkpoints) -> None:
    """Remove recorded activations that nobody keeps, and the checkpoints of a whole training.

    Of the experiments that this one has gone on from, what only their processes needed as well.
    """
    for folder_before in checkpoints.predecessors():
        for path in leftovers(folder_before):
            path.unlink(missing_ok=True)
    if not experiment.config.keep_activations:
        experiment.store_path.unlink()
        for folder_before in checkpoints.predecessors():
            (folder_before / STORE_NAME).unlink(missing_ok=True)
    checkpoints.forget()
