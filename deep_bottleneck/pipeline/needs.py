"""What an experiment takes of the machine at the least, told before anything is trained.

With R runs of networks with P weights and L layers, of which T epochs are recorded for N examples
with U outputs each::

    memory = R x (40,000 L + 4 P) + 4 N U + 200 R T L + 8 S B
    files  = 100 R T L + 4 R T N U + 240 E

What Keras itself takes for a layer was measured. The rows R T L of a table of information count
once for each estimator and part of the data, the activations R T N U only where they are kept, and
the E epochs have four metrics. Callbacks may end training after the first epoch. The order of the
examples is there for one epoch of one run, where the config gives it S steps of B examples.
"""

import math
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import keras

from deep_bottleneck.config import Config
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import Dataset
from deep_bottleneck.pipeline.plan import Plan
from deep_bottleneck.training.layers import layer_outputs
from deep_bottleneck.training.schedule import default_schedule

_FLOAT, _INDEX = 4, 8
_KERAS_LAYER = 40_000
_ROW_IN_MEMORY, _ROW_IN_FILE = 200, 100
_METRICS_OF_EPOCH = 240
# from this epoch on every hundredth is recorded
_SELDOM = 2000


@dataclass(frozen=True)
class Size:
    """How large an experiment is.

    Attributes:
        n_parameters: the weights of a network.
        units: the outputs of each layer with weights.
        n_examples: how many examples are looked at; 0 if that is not known yet.
        keeps_activations: whether the outputs are written to the disk that the record is on.
    """

    n_parameters: int
    units: Sequence[int]
    n_examples: int = 0
    keeps_activations: bool = False

    @classmethod
    def of_config(cls, config: Config, has_architecture: bool) -> "Size":
        """What the config alone says.

        Args:
            config: the hyperparameters.
            has_architecture: whether the model is made of the layers that the config names.
        """
        units = config.architecture if has_architecture else ()
        return cls(sum(one * other for one, other in pairwise((1, *units))), units)

    @classmethod
    def of_model(cls, model: keras.Model, dataset: Dataset, keeps_activations: bool) -> "Size":
        """What a model and its data say."""
        return cls(
            model.count_params(),
            [place.n_units for place in layer_outputs(model)],
            len(dataset.train) + len(dataset.test),
            keeps_activations,
        )


def check_config(config: Config, plan: Plan, folder: Path) -> None:
    """Make sure, as far as the config alone tells, that the machine can hold an experiment.

    Args:
        config: the hyperparameters.
        plan: its plug-ins.
        folder: where it is recorded; it need not be there yet.

    Raises:
        ConfigError: as `check`.
    """
    check(config, Size.of_config(config, plan.model.wants("architecture")), folder)


def check(config: Config, size: Size, folder: Path) -> None:
    """Make sure that the machine can hold an experiment.

    Args:
        config: the hyperparameters.
        size: how large it is.
        folder: where it is recorded; it need not be there yet.

    Raises:
        ConfigError: if this takes more memory than the machine has, or more space than is free.
    """
    runs, epochs = config.n_runs, 1 if config.callbacks else config.epochs
    recorded = _n_recorded(epochs)
    rows = runs * recorded * len(size.units) * len(config.estimator) * len(config.calculate_mi_for)
    outputs = _FLOAT * size.n_examples * sum(size.units)
    network = _KERAS_LAYER * max(1, len(size.units)) + _FLOAT * size.n_parameters
    order = _INDEX * (config.steps_per_epoch or 0) * config.batch_size
    memory = runs * network + outputs + _ROW_IN_MEMORY * rows + order
    files = _ROW_IN_FILE * rows + _METRICS_OF_EPOCH * epochs
    if size.keeps_activations:
        files += runs * recorded * outputs
    there = _memory_of_machine()
    if memory > there:
        raise ConfigError(
            f"{_told(config, size)} takes at least {_bytes(memory)} of memory, and this machine "
            f"has {_bytes(there)}: take fewer runs, smaller layers, fewer epochs or shorter ones"
        )
    free = shutil.disk_usage(next(path for path in _and_above(folder) if path.exists())).free
    if files > free:
        raise ConfigError(
            f"{_told(config, size)} leaves at least {_bytes(files)} of files, and {folder} has "
            f"{_bytes(free)} left: take fewer runs or epochs, or let DEEP_BOTTLENECK_RUNS name a "
            "folder on another disk"
        )


def _told(config: Config, size: Size) -> str:
    weights = f" with at least {size.n_parameters:,} weights" if size.n_parameters else ""
    return f"An experiment of {config.n_runs:,} networks{weights} over {config.epochs:,} epochs"


def _n_recorded(epochs: int) -> int:
    often = sum(map(default_schedule, range(min(epochs, _SELDOM))))
    return often + len(range(_SELDOM, epochs, 100))


def _memory_of_machine() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _and_above(folder: Path) -> list[Path]:
    path = folder.resolve()
    return [path, *path.parents]


def _bytes(number: float) -> str:
    """A number of bytes as people say it, such as "1.5 GB"."""
    units = ("bytes", "kB", "MB", "GB", "TB", "PB")
    power = min(len(units) - 1, int(math.log(max(1.0, number), 1000)))
    return f"{number / 1000**power:,.3g} {units[power]}"
