"""What the plug-ins of an experiment give, before anything is trained."""

import tempfile
import traceback
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import torch
from keras.src.utils.naming import reset_uids

from deep_bottleneck.config import Config
from deep_bottleneck.config.components import Component
from deep_bottleneck.datasets import checking
from deep_bottleneck.datasets.changes import changed
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import BasePlotter, Dataset, Record
from deep_bottleneck.machine import device
from deep_bottleneck.measuring.estimators import EstimatorPlugIn, can_stream
from deep_bottleneck.measuring.tables import Tables
from deep_bottleneck.pipeline import needs
from deep_bottleneck.pipeline.plan import ACTIVITY_RECORDER, Plan
from deep_bottleneck.storage.names import STORE_NAME
from deep_bottleneck.training.recorder import Recorder


@dataclass(frozen=True)
class LoadedExperiment:
    """An experiment with everything that its training and measuring work with.

    Attributes:
        config: the hyperparameters.
        dataset: what networks train and are tested on.
        models: one compiled model for each run.
        estimators: by the name that their tables carry, "" for the only one.
        plotters: what draws.
        callbacks: what records and steers training, not loaded yet.
        measures_live: whether information is measured while networks train, so that no activations
            need be recorded.
        record: where numbers and files are stored.
        tables: where tables are stored.
        device: where networks train and are measured.
        store_path: the activation store.
        values_by_name: what plug-ins may ask for by name.
    """

    config: Config
    dataset: Dataset
    models: Sequence[keras.Model]
    estimators: Mapping[str, EstimatorPlugIn]
    plotters: Sequence[BasePlotter]
    callbacks: Sequence[Component]
    measures_live: bool
    record: Record
    tables: Tables
    device: torch.device
    store_path: Path
    values_by_name: Mapping[str, Any]


def load_experiment(config: Config, plan: Plan, record: Record, folder: Path) -> LoadedExperiment:
    """Load the data set, the models, the estimators on trial, and the plotters.

    Args:
        config: the hyperparameters; the seed must be set.
        plan: its plug-ins.
        record: where numbers and files are stored.
        folder: where the activation store and files on their way to the record are kept.

    Raises:
        ConfigError: if a plug-in's `load` returns something else than it should, activations
            cannot be kept where the config says, or the machine is too small.
        DataError: if the data set cannot be trained on.
    """
    dataset = _dataset(config, plan)
    where = device.choose(config.device, config.backend)
    tables = Tables(record, folder)
    values = {
        **config.hyperparameters,
        "device": str(where),
        "run": record,
        "tables": tables,
        "dataset": dataset,
        "n_classes": dataset.n_classes,
        "input_size": dataset.input_size,
        "input_shape": dataset.input_shape,
        "output_size": dataset.n_classes,
    }
    several = len(plan.estimators) > 1
    estimators = {name if several else "": plug_in for name, plug_in in plan.estimators.items()}
    on_trial = [plug_in.load(values) for plug_in in estimators.values()]
    wants_recording = bool(config.keep_activations) or plan.draws_activations
    measures_live = not wants_recording and all(map(can_stream, on_trial))
    models = _models(plan.model, values, config)
    first = next(models)
    keeps_here = not measures_live and not isinstance(config.keep_activations, str)
    needs.check(config, needs.Size.of_model(first, dataset, keeps_here), folder)
    return LoadedExperiment(
        config=config,
        dataset=dataset,
        plotters=[plotter.load_as(BasePlotter, values) for plotter in plan.plotters],
        models=[first, *models],
        estimators=estimators,
        callbacks=[
            callback
            for callback in plan.callbacks
            if not (measures_live and callback.path == ACTIVITY_RECORDER)
        ],
        measures_live=measures_live,
        record=record,
        tables=tables,
        device=where,
        store_path=_store_path(config, folder),
        values_by_name=values,
    )


def load_callbacks(
    callbacks: Sequence[Component], values: Mapping[str, Any], n_runs: int
) -> tuple[list[Recorder], list[list[keras.callbacks.Callback]]]:
    """Recorders, of which one serves all runs, and for each run its own ordinary callbacks.

    Raises:
        ConfigError: if a plug-in's `load` returns something else than a callback.
    """
    recorders: list[Recorder] = []
    of_runs: list[list[keras.callbacks.Callback]] = [[] for _ in range(n_runs)]
    for component in callbacks:
        first = component.of_run(0).load_as((keras.callbacks.Callback, Recorder), values)
        if isinstance(first, Recorder):
            recorders.append(first)
            continue
        others = (component.of_run(run).load_as(type(first), values) for run in range(1, n_runs))
        for own, callback in zip(of_runs, (first, *others), strict=True):
            own.append(callback)
    return recorders, of_runs


def _dataset(config: Config, plan: Plan) -> Dataset:
    loaded = plan.dataset.load_as(Dataset, config.hyperparameters)
    checking.check(loaded, plan.dataset.path)
    return changed(loaded, config.dataset_options)


def _compiled(model: keras.Model, path: str) -> keras.Model:
    if not model.compiled:
        raise ConfigError(
            f'"model": {path} gave a model that is not compiled; let its load() call '
            'model.compile() with an optimizer, a loss and metrics=["accuracy"]'
        )
    return model


def _models(
    component: Component, values: Mapping[str, Any], config: Config
) -> Iterator[keras.Model]:
    """One model for each run; a run's weights depend on the seed and its number alone.

    So do the names that Keras gives its layers.
    """
    # on the CPU, so that the weights are the same wherever they train
    with device.chosen(torch.device("cpu")):
        for run in range(config.n_runs):
            (weight_seed,) = np.random.SeedSequence([config.seed or 0, run]).generate_state(1)
            keras.utils.set_random_seed(int(weight_seed))
            reset_uids()
            try:
                model = component.load_as(keras.Model, values)
            except (RuntimeError, TypeError, ValueError) as error:
                frames = traceback.walk_tb(error.__traceback__)
                _refuse_pytorch(frame.f_locals.get("self") for frame, _ in frames)
                raise
            _refuse_pytorch(model._flatten_layers())
            yield _compiled(model, component.path)


def _refuse_pytorch(layers: Iterable[Any]) -> None:
    backend = keras.backend.backend()
    for layer in layers:
        if isinstance(layer, keras.layers.TorchModuleWrapper) and backend != "torch":
            raise ConfigError(
                f'"model": {layer.name} is a module of PyTorch, which Keras can train on no other '
                f'backend than that, and "backend" is "{backend}": set it to "torch"'
            )


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
