"""The plug-ins of an experiment, found and checked before anything costly starts."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras

from deep_bottleneck.config import Config, components
from deep_bottleneck.config.components import Component
from deep_bottleneck.config.entries import Entry
from deep_bottleneck.datasets import files
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.measuring.estimators import EstimatorPlugIn, estimator_plug_ins

RECORDERS = (
    "callbacks.metrics_logger",
    "callbacks.sacred_metrics_logger",
    "callbacks.progress_bar",
)
ACTIVITY_RECORDER = "callbacks.activity_logger"
MODEL_VALUES = ("input_size", "input_shape", "output_size")
CALLBACK_VALUES = (
    "run",
    "dataset",
    "n_classes",
    "tables",
    "writer",
    "schedule",
    "training_progress",
)
FILE_WRITERS = (
    keras.callbacks.BackupAndRestore,
    keras.callbacks.CSVLogger,
    keras.callbacks.ModelCheckpoint,
    keras.callbacks.TensorBoard,
)
PLOTTER_VALUES = ("run", "dataset", "n_classes")


@dataclass(frozen=True)
class Plan:
    """The plug-ins of an experiment, found and checked, nothing loaded yet.

    Attributes:
        dataset_files: the files of the user's that the data set is read from.
    """

    dataset: Component
    dataset_files: Sequence[Path]
    model: Component
    estimators: Mapping[str, EstimatorPlugIn]
    callbacks: Sequence[Component]
    plotters: Sequence[Component]

    @property
    def draws_activations(self) -> bool:
        """Whether a plotter reads recorded activations."""
        return _draw_activations(self.plotters)

    @property
    def all(self) -> list[Component]:
        """Every plug-in."""
        estimators = [plug_in.component for plug_in in self.estimators.values()]
        return [self.dataset, self.model, *estimators, *self.callbacks, *self.plotters]


def make_plan(config: Config) -> Plan:
    """Find all plug-ins that a config names.

    Raises:
        ConfigError: if one cannot be imported, or needs an argument or table that nobody supplies,
            or there is no file where the data set is to be read from.
    """
    known = set(config.hyperparameters)

    def checked(component: Component, names: Sequence[str] = ()) -> Component:
        component.check(known | set(names))
        return component

    def entries(key: str, chosen: Sequence[Entry], names: Sequence[str]) -> list[Component]:
        return [
            checked(components.find(key, e.path, e.arguments, e.keywords), names) for e in chosen
        ]

    plotters = entries("plotters", config.plotters_and_reports, PLOTTER_VALUES)
    recorded = config.calculate_mi_for or _draw_activations(plotters)
    activity = [ACTIVITY_RECORDER] if recorded else []
    recorders = [Entry(path=path) for path in (*RECORDERS, *activity)]
    callbacks = entries("callbacks", [*config.callbacks, *recorders], CALLBACK_VALUES)
    (dataset,) = entries("dataset", [config.dataset_entry], ())
    needed = [Entry(path=path) for path in _missing_recorders(callbacks, plotters)]
    plan = Plan(
        dataset=dataset,
        dataset_files=_dataset_files(dataset, known),
        model=checked(components.find("model", config.model), MODEL_VALUES),
        estimators=estimator_plug_ins(config),
        callbacks=[*callbacks, *entries("callbacks", needed, CALLBACK_VALUES)],
        plotters=plotters,
    )
    _check_tables(plan)
    if config.n_runs > 1:
        _check_files(plan.callbacks)
    return plan


def _draw_activations(plotters: Sequence[Component]) -> bool:
    return any(getattr(plotter.module, "NEEDS_ACTIVATIONS", False) for plotter in plotters)


def _missing_recorders(
    callbacks: Sequence[Component], plotters: Sequence[Component]
) -> dict[str, None]:
    """The callbacks, in order, that leave what plotters draw and nobody leaves yet."""
    left = {table for callback in callbacks for table in _tables_of(callback)}
    return {
        path: None
        for plotter in plotters
        for table, path in _needed_tables(plotter).items()
        if table not in left
    }


def _tables_of(callback: Component) -> Sequence[str]:
    """The tables that a callback's module says it leaves."""
    tables: Sequence[str] = getattr(callback.module, "TABLES", ())
    return tables


def _needed_tables(plotter: Component) -> Mapping[str, str]:
    """The tables that a plotter's module says it draws, and which of our callbacks leaves each."""
    tables: Mapping[str, str] = getattr(plotter.module, "NEEDED_TABLES", {})
    return tables


def _dataset_files(dataset: Component, known: Collection[str]) -> list[Path]:
    """The files of the user's that a data set's module says it reads.

    Its `FILES` are the parameters of its `load` that name them.
    """
    names: Sequence[str] = getattr(dataset.module, "FILES", ())
    return [files.own_file(dataset.argument(name, known)) for name in names]


def _check_files(callbacks: Sequence[Component]) -> None:
    """Make sure that no file is written by the callbacks of several runs."""
    for callback in callbacks:
        if callback.target in FILE_WRITERS and not callback.names_run:
            raise ConfigError(
                f'"callbacks": {callback.path} of several runs would write into one file; put '
                "{run}, which is the number of a run, into its path"
            )


def _check_tables(plan: Plan) -> None:
    """Make sure that each table is left by one callback, and each that a plotter draws is left."""
    left: dict[str, str] = {}
    for callback in plan.callbacks:
        for name in _tables_of(callback):
            if name in left:
                raise ConfigError(
                    f'"callbacks": {left[name]} and {callback.path} both leave the table "{name}", '
                    "of which there can be one; take one of them out"
                )
            left[name] = callback.path
    for plotter in plan.plotters:
        for name, path in _needed_tables(plotter).items():
            if name not in left:
                raise ConfigError(
                    f'"plotters": {plotter.path} draws the table "{name}" and says that {path} '
                    "leaves it, which it does not"
                )
