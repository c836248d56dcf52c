"""The experiments of a cohort for the notebooks: from the record, or else a short version."""

import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

import deep_bottleneck
from deep_bottleneck.config import sweep
from deep_bottleneck.eval_tools import ExperimentCollection, ExperimentLoader
from deep_bottleneck.machine.environment import RUNS_VARIABLE
from deep_bottleneck.plotter.compression import peak_and_final

PROJECT = Path(deep_bottleneck.__file__).resolve().parent.parent
SHORT = ("epochs=12", "n_runs=2", "plotters=[]")
SMALL = {"calculate_mi_for": ["test"], "dataset_options": {"n_train": 600, "n_test": 200}}


def experiments_of(name: str, every: int = 1) -> ExperimentCollection:
    """The completed experiments of a cohort, the last of each kind.

    They are those in the record that `DEEP_BOTTLENECK_RUNS` names, or else `runs` of the project.
    If it has none, a short version of the cohort is run into it first, which shows that everything
    works, and nothing about learning.

    Args:
        name: the name of the config file, such as "cohort_05".
        every: how many of the experiments a short version has: every one, every second, ...
    """
    runs = Path(os.environ.setdefault(RUNS_VARIABLE, str(PROJECT / "runs")))
    runs.mkdir(parents=True, exist_ok=True)
    loader = ExperimentLoader(path=runs)
    found = loader.find_sweep(name)
    if not found:
        _run_short(PROJECT / "configs" / "cohorts" / f"{name}.json", every)
        found = loader.find_sweep(name)
    return found


def part_of(experiments: ExperimentCollection) -> str:
    """The part of the data that is looked at: test examples where they were measured."""
    measured = experiments[0].config["calculate_mi_for"]
    return "test" if "test" in measured else str(measured[-1])


def compression_of(
    experiments: ExperimentCollection, by: Sequence[str], estimator: str | None = None
) -> pd.DataFrame:
    """How much each layer compresses, as mean over the runs of each experiment.

    Args:
        experiments: which experiments.
        by: the hyperparameters that tell them apart.
        estimator: as for `Experiment.information_measures`.

    Returns:
        A row for each experiment and layer, with the columns of `by`, layer, and in bits peak,
        final and compression: the largest I(X;M) over training, the last, and their difference.
    """
    part = part_of(experiments)
    tables = []
    for experiment in experiments:
        measures = experiment.information_measures(estimator, part)
        mean = peak_and_final(measures).groupby("layer").mean().drop(columns="run").reset_index()
        # as objects, since pandas makes numbers of False beside numbers
        own = {key: pd.Series(experiment.config[key], mean.index, object) for key in by}
        tables.append(mean.assign(**own))
    columns = [*by, "layer", "peak", "final", "compression"]
    return pd.concat(tables, ignore_index=True)[columns]


def _run_short(cohort: Path, every: int) -> None:
    """Run the experiments one after the other in this process, which starts Keras only once."""
    sys.path.insert(0, str(PROJECT))
    import experiment

    only_here = {RUNS_VARIABLE: os.environ[RUNS_VARIABLE]}
    experiment.ex.observers = experiment.observers.configured(only_here, Path(os.devnull))
    logging.getLogger().setLevel(logging.ERROR)
    for combination in sweep.expand(cohort, SHORT)[::every]:
        updates = json.loads(json.dumps({"seed": 0, **combination.hyperparameters, **SMALL}))
        options = {"--name": combination.name, "--loglevel": "ERROR"}
        experiment.ex.run(config_updates=updates, options=options)
