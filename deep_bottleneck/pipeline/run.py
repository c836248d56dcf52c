"""Data -> models -> training -> tables -> figures. Knows no Sacred."""

import logging
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import keras
import numpy as np
import torch

from deep_bottleneck.config.components import Component
from deep_bottleneck.config.hyperparameters import Config
from deep_bottleneck.datasets import checking
from deep_bottleneck.datasets.changes import changed
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import (
    BasePlotter,
    Dataset,
    FloatArray,
    Part,
    Record,
    Results,
)
from deep_bottleneck.machine import device
from deep_bottleneck.machine.progress import progress
from deep_bottleneck.measuring.activation_store import ActivationStore, ActivationWriter
from deep_bottleneck.measuring.information_tables import measure
from deep_bottleneck.measuring.streaming import InformationStream, can_stream
from deep_bottleneck.measuring.tables import Tables
from deep_bottleneck.pipeline.figures import store_figures
from deep_bottleneck.pipeline.plan import ACTIVITY_RECORDER, Plan
from deep_bottleneck.storage.names import STORE_NAME
from deep_bottleneck.training.ensemble import Ensemble
from deep_bottleneck.training.keeper import Checkpoints
from deep_bottleneck.training.layers import layers_with_kernel
from deep_bottleneck.training.preemption import Preemption
from deep_bottleneck.training.recorder import Recorder
from deep_bottleneck.training.schedule import default_schedule

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
    loaded = _loaded(plan.dataset, config.hyperparameters, Dataset)
    checking.check(loaded, plan.dataset.path)
    dataset = changed(loaded, config.dataset_options)
    stored = Tables(record, folder)
    where = device.choose(config.device, config.backend)
    values = {
        **config.hyperparameters,
        "device": str(where),
        "run": record,
        "tables": stored,
        "dataset": dataset,
        "n_classes": dataset.n_classes,
        "input_size": dataset.input_size,
        "input_shape": dataset.input_shape,
        "output_size": dataset.n_classes,
    }
    several = len(plan.estimators) > 1
    named = {name if several else "": plug_in for name, plug_in in plan.estimators.items()}
    estimators = [plug_in.load(values) for plug_in in named.values()]
    plotters = [_loaded(component, values, BasePlotter) for component in plan.plotters]
    models = list(_models(plan.model, values, config))
    store_path = _store_path(config, folder)
    stream, callbacks = None, plan.callbacks
    wanted_later = config.keep_activations or plan.draws_activations
    if not wanted_later and all(map(can_stream, estimators)):
        parts, schedule = config.calculate_mi_for, default_schedule
        stream = InformationStream(
            named, values, dataset, parts, schedule, config.epochs, stored, where
        )
        callbacks = [callback for callback in callbacks if callback.path != ACTIVITY_RECORDER]
    _train(config, callbacks, stream, models, values, store_path, checkpoints)
    with ActivationStore(store_path) as store:
        metrics = store.metrics()
        if stream is not None:
            tables = stream.store(metrics)
        else:
            tables = measure(named, values, store, config.calculate_mi_for, stored)
        gradients = store.gradients()
        if not gradients.empty:
            stored.add("gradients", gradients)
        recordings = {part: store.part(part) for part in config.calculate_mi_for or DRAWN_PARTS}
        results = Results(tables, metrics, config.plot_median, stored.by_name, recordings)
        store_figures(plotters, results, record, folder, svg=config.svg)
    if not config.keep_activations:
        store_path.unlink()
        for folder_before in checkpoints.predecessors():
            (folder_before / STORE_NAME).unlink(missing_ok=True)
    checkpoints.forget()
    last = metrics.groupby("run").last()
    return {"train": last["accuracy"].to_numpy(), "test": last["val_accuracy"].to_numpy()}


def _store_path(config: Config, folder: Path) -> Path:
    """Where the activation store is: in the experiment's folder, or reached by a link from there.

    Raises:
        ConfigError: if the folder that `keep_activations` names cannot be written.
    """
    path = folder / STORE_NAME
    if not isinstance(config.keep_activations, str):
        return path
    elsewhere = Path(config.keep_activations).resolve()
    target = elsewhere / f"{folder.name}_{uuid.uuid4().hex[:8]}_{STORE_NAME}"
    try:
        elsewhere.mkdir(parents=True, exist_ok=True)
        # whether anything can be written there shows when something is
        tempfile.TemporaryFile(dir=elsewhere).close()
        path.symlink_to(target)
    except OSError as error:
        raise ConfigError(f'"keep_activations": cannot write there: {error}') from None
    return target


def _models(component: Component, values: Mapping[str, Any], config: Config) -> Iterator[Any]:
    """One model for each run; a run's weights depend on the seed and its number alone."""
    # on the CPU, so that the weights are the same wherever they train
    on_torch = config.backend == "torch"
    with device.chosen(torch.device("cpu")) if on_torch else nullcontext():
        for run in range(config.n_runs):
            (weight_seed,) = np.random.SeedSequence([config.seed or 0, run]).generate_state(1)
            keras.utils.set_random_seed(int(weight_seed))
            yield _loaded(component, values, keras.Model)


def _train(
    config: Config,
    callbacks: Sequence[Component],
    stream: InformationStream | None,
    models: Sequence[keras.Model],
    values: Mapping[str, Any],
    store_path: Path,
    checkpoints: Checkpoints,
) -> None:
    units = [int(np.prod(layer.output.shape[1:])) for layer in layers_with_kernel(models[0])]
    dataset: Dataset = values["dataset"]
    with (
        ActivationWriter(store_path, dataset, units, config.n_runs, config.epochs) as writer,
        progress("Training", config.n_runs * config.epochs) as bar,
        checkpoints.preemption.at_epoch_ends(),
    ):
        values = {
            **values,
            "run": checkpoints.noted(values["run"]),
            "writer": writer,
            "schedule": default_schedule,
            "training_progress": bar,
        }
        recorders, of_runs = _loaded_callbacks(callbacks, values, config.n_runs)
        if stream is not None:
            stream.may_stop_early = any(of_runs)
            recorders.append(stream)
        folder_before = checkpoints.goes_on_from(models, of_runs, recorders)
        if folder_before is not None:
            writer.copy(folder_before / STORE_NAME)
        where = torch.device(values["device"]) if config.backend == "torch" else None
        Ensemble(models, config.seed or 0, where).fit(
            dataset,
            config.epochs,
            config.batch_size,
            config.steps_per_epoch,
            callbacks=of_runs,
            recorders=recorders,
            checkpoints=checkpoints,
        )


def _loaded_callbacks(
    callbacks: Sequence[Component], values: Mapping[str, Any], n_runs: int
) -> tuple[list[Recorder], list[list[keras.callbacks.Callback]]]:
    """Recorders, of which one serves all runs, and for each run its own ordinary callbacks."""
    recorders: list[Recorder] = []
    of_runs: list[list[keras.callbacks.Callback]] = [[] for _ in range(n_runs)]
    for component in callbacks:
        first = _loaded(component, values, keras.callbacks.Callback)
        if isinstance(first, Recorder):
            recorders.append(first)
            continue
        others = (_loaded(component, values, keras.callbacks.Callback) for _ in range(n_runs - 1))
        for own, callback in zip(of_runs, (first, *others), strict=True):
            own.append(callback)
    return recorders, of_runs


def _loaded(component: Component, values: Mapping[str, Any], kind: type[Any]) -> Any:
    loaded = component.load(values)
    if not isinstance(loaded, kind):
        raise ConfigError(
            f'"{component.key}": {component.path} gave a {type(loaded).__name__}, '
            f"expected a {kind.__name__}"
        )
    return loaded
