"""Every config that comes with the project is what its README says, and runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from deep_bottleneck.config import Config, sweep
from deep_bottleneck.launching.plan import LaunchPlan
from deep_bottleneck.pipeline.plan import make_plan
from deep_bottleneck.pipeline.run import run_experiment

FOLDER = Path(__file__).resolve().parent.parent / "configs"
FILES = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.json"))
COHORTS = [name for name in FILES if name.startswith("cohorts/")]
SHORT = (
    "epochs=2",
    "n_runs=1",
    "dataset_options.n_train=300",
    "dataset_options.n_test=100",
    "plotters=['plotter.informationplane']",
)


class Stored:
    """A record that keeps the names of what it is given."""

    def __init__(self):
        self.artifacts = set()

    def log_scalar(self, name, value, step):
        pass

    def add_artifact(self, filename, name):
        self.artifacts.add(name)


def test_the_readme_lists_every_file_with_its_number_of_experiments():
    rows = re.findall(r"^\| `([\w/]+\.json)` \| (\d+) \|", (FOLDER / "README.md").read_text(), re.M)

    assert sorted(name for name, _ in rows) == FILES
    for name, number in rows:
        assert len(sweep.expand(FOLDER / name)) == int(number), name


def test_no_experiment_has_a_mistake_or_the_name_of_another():
    experiments = LaunchPlan.make(FOLDER).experiments

    assert [e.state for e in experiments if e.state != "ready"] == []
    assert len({e.combination.name for e in experiments}) == len(experiments)


@pytest.mark.slow
def test_ten_thousand_images_and_a_wide_layer_take_bounded_memory(data_folder, tmp_path):
    if not (data_folder / "mnist.npz").exists():
        pytest.skip(f"there is no mnist.npz in {data_folder}")
    config = FOLDER / "mnist" / "working_memory.json"
    command = [sys.executable, FOLDER.parent / "run_experiments.py", "-d", config]
    # tests let XLA compile in a hurry, which takes other memory, and longer for large networks
    outside = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    environment = {
        **outside,
        "DEEP_BOTTLENECK_DATA": str(data_folder),
        "DEEP_BOTTLENECK_RUNS": str(tmp_path),
    }
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        # unlike wait, this also says how much memory the process and its children took
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)

    assert process.returncode == 0, (tmp_path / "log").read_text()
    assert usage.ru_maxrss < 4e9 / 1024


def every_value_once(combinations):
    """As few of a sweep's experiments as have every value that it varies, seeds apart."""
    seen = set()
    for combination in combinations:
        values = {(k, repr(v)) for k, v in combination.varied.items() if k != "seed"}
        if not values <= seen:
            seen |= values
            yield combination


@pytest.mark.slow
@pytest.mark.parametrize("name", COHORTS)
def test_a_cohort_runs_to_its_end(name, tmp_path):
    for combination in every_value_once(sweep.expand(FOLDER / name, SHORT)):
        config = Config.parse({"seed": 0, **combination.hyperparameters})
        folder = tmp_path / combination.name
        folder.mkdir()
        stored = Stored()

        accuracy = run_experiment(config, make_plan(config), stored, folder)

        keras.utils.clear_session()
        assert {part: values.shape for part, values in accuracy.items()} == {
            "train": (1,),
            "test": (1,),
        }
        several = len(config.estimators) > 1
        assert {
            f"infoplane_{estimator}_{part}" if several else f"infoplane_{part}"
            for estimator in config.estimators
            for part in config.calculate_mi_for
        } <= stored.artifacts
