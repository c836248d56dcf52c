"""Real schedulers run a cohort; they are skipped where there is none."""

import itertools
import json
import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest

from deep_bottleneck.cluster import follow_up

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 1800
ASK = {"sge": ["qstat", "-f"], "slurm": ["sinfo"]}
COHORT = {
    "epochs": 5,
    "architecture": [4, 3],
    "n_runs": 2,
    "grid": {"activation_fn": ["tanh", "relu", "elu"], "optimizer": ["sgd", "adam"]},
}


class Place:
    """Where experiments are launched, and what became of them."""

    def __init__(self, launcher, folder):
        self.launcher = launcher
        self.folder = folder
        self.output = folder / "output"

    def call(self, *arguments):
        own = {
            "DEEP_BOTTLENECK_RUNS": str(self.folder / "runs"),
            "DEEP_BOTTLENECK_OUTPUT": str(self.output),
            "OMP_NUM_THREADS": "1",
        }
        return subprocess.run(
            [sys.executable, ROOT / "run_experiments.py", *arguments],
            cwd=self.folder,
            env={**os.environ, **own},
            capture_output=True,
            text=True,
        )

    def launch(self, config, *arguments):
        limit = [] if self.launcher == "local" else ["--resource", "time=00:20:00"]
        command = ["-d", config, "--launcher", self.launcher, *limit, *arguments]
        result = self.call(*command)
        assert result.returncode == 0, result.stderr
        return result

    def states(self):
        return [task.state for _, tasks in follow_up.states(self.output) for task in tasks]

    def wait_until(self, reached, seconds=PATIENCE_SECONDS):
        deadline = time.monotonic() + seconds
        while not reached(self.states()):
            assert time.monotonic() < deadline, self.call("--status").stdout
            time.sleep(1)

    def trains(self):
        """Whether some epochs have been trained."""
        return any(
            task.detail.startswith("epoch") and not task.detail.startswith("epoch 0")
            for _, tasks in follow_up.states(self.output)
            for task in tasks
        )

    def records(self):
        """By their hyperparameters, the folders of the experiments that are complete."""
        found = {}
        for path in self.folder.glob("runs/*/run.json"):
            if json.loads(path.read_text())["status"] == "COMPLETED":
                config = (path.parent / "config.json").read_text()
                assert config not in found
                found[config] = path.parent
        return found

    def tables(self):
        return {
            (config, path.name): path.read_bytes()
            for config, folder in self.records().items()
            for path in folder.glob("*.csv")
        }


def scheduler(name):
    try:
        subprocess.run(ASK[name], check=True, capture_output=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        pytest.skip(f"there is no {name} here that answers; .ci/run starts one")
    return name


@pytest.fixture(params=["sge", "slurm"])
def place(request, tmp_path):
    place = Place(scheduler(request.param), tmp_path)
    yield place
    place.call("--cancel")


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "cohort.json"
    path.write_text(json.dumps(COHORT))
    return path


def done(states):
    assert not {"failed", "lost"} & set(states)
    return set(states) == {"completed"}


@pytest.mark.slow
def test_a_cohort_has_the_same_tables_everywhere_and_keeps_to_its_cap(tmp_path, config):
    places = [
        Place(name, tmp_path / name) for name in (scheduler("sge"), scheduler("slurm"), "local")
    ]
    for place in places:
        place.folder.mkdir()

    for place in places:
        # the last one runs here, beside the others
        place.launch(config, "--jobs", "1" if place.launcher != "local" else "2")
    for place in places:
        place.wait_until(done)

    expected = places[-1].tables()
    assert len(places[-1].records()) == 6
    assert len(expected) == 6 * 4
    assert len({json.loads(name)["seed"] for name, _ in expected}) == 6
    for place in places[:-1]:
        assert place.tables() == expected
        spans = sorted(map(span, place.records().values()))
        assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))


def span(record):
    run = json.loads((record / "run.json").read_text())
    return tuple(datetime.fromisoformat(run[name]) for name in ("start_time", "stop_time"))


@pytest.mark.slow
def test_what_is_cancelled_is_resumed_and_nothing_else(place, config):
    place.launch(config, "--jobs", "1", "--only", "optimizer=sgd", "epochs=3")
    place.wait_until(lambda states: "completed" in states)

    place.call("--cancel")
    place.wait_until(lambda states: not {"queued", "running"} & set(states))
    first = place.records()
    again = place.launch(config, "--jobs", "2", "--only", "optimizer=sgd", "--resume", "epochs=3")
    place.wait_until(lambda states: states.count("completed") == 3)

    assert f"{len(first)} of 3 experiments are stored as completed" in again.stderr
    assert len(place.records()) == 3
    assert first.items() <= place.records().items()


@pytest.mark.slow
def test_a_task_that_is_ended_goes_on_to_the_same_tables(place, tmp_path):
    long = {"epochs": 4000, "dataset": "datasets.iris", "architecture": [4], "batch_size": 32}
    config = tmp_path / "long.json"
    config.write_text(json.dumps({**long, "grid": {"activation_fn": ["tanh"]}}))
    (tmp_path / "whole").mkdir()
    whole = Place("local", tmp_path / "whole")
    whole.launch(config)

    place.launch(config)
    place.wait_until(lambda states: "running" in states and place.trains())
    place.call("--cancel")
    place.wait_until(lambda states: not {"queued", "running"} & set(states))
    statuses = [json.loads(p.read_text())["status"] for p in place.folder.glob("runs/1/run.json")]
    place.launch(config, "--resume")
    place.wait_until(lambda states: "completed" in states)

    assert statuses == ["TIMEOUT"]
    assert json.loads((place.folder / "runs/2/info.json").read_text())["continues"] == "1"
    assert place.tables() == whole.tables()


@pytest.mark.slow
def test_a_snapshot_runs_the_code_that_was_submitted(place, config):
    place.launch(config, "--snapshot", "--only", "optimizer=sgd", "--only", "activation_fn=elu")
    place.wait_until(done)

    (folder,) = place.output.iterdir()
    kept = json.loads((folder / "submission.json").read_text())
    assert kept["script"] == str(folder / "code" / "experiment.py")
    assert len(kept["commit"]) == 40
    (record,) = place.records().values()
    run = json.loads((record / "run.json").read_text())
    assert run["experiment"]["base_dir"] == str(folder / "code")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--submit-args=-{queue} nowhere"], "took nothing: "),
        (["epochs=-1"], '"epochs" is -1 but should be greater than 0'),
        (["--resource", "ram=1G"], 'unknown key "ram"'),
    ],
)
def test_what_cannot_be_submitted_is_one_sentence(place, config, arguments, sentence):
    queue = {"sge": "q", "slurm": "p"}[place.launcher]
    arguments = [text.format(queue=queue) for text in arguments]

    result = place.call("-d", config, "--launcher", place.launcher, *arguments)

    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert sentence in result.stderr.splitlines()[-1]
    assert not list(place.output.glob("*"))
    assert place.states() == []
