"""Real schedulers run a cohort; they are skipped where there is none."""

import itertools
import json
import shutil
import subprocess
import time
from datetime import datetime

import pytest
from real_schedulers import ASK, Place

from deep_bottleneck.launching import follow_up

COHORT = {
    "epochs": 5,
    "architecture": [4, 3],
    "n_runs": 2,
    "grid": {"activation_fn": ["tanh", "relu", "elu"], "optimizer": ["sgd", "adam"]},
}


PACE = """
import time
from pathlib import Path

import keras


def load():
    return SlowWhileTold()


class SlowWhileTold(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if Path("slow").exists():
            time.sleep(1)
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "cohort.json"
    path.write_text(json.dumps(COHORT))
    return path


@pytest.fixture
def slow(tmp_path):
    """A file; while it exists, the callback `pace` lets no epoch take less than a second."""
    (tmp_path / "pace.py").write_text(PACE)
    path = tmp_path / "slow"
    path.touch()
    return path


def done(states):
    assert not {"failed", "lost"} & set(states)
    return set(states) == {"completed"}


def has_ended(states):
    return not {"queued", "running", "unknown"} & set(states)


@pytest.mark.slow
def test_a_cohort_has_the_same_tables_everywhere_and_keeps_to_its_cap(tmp_path, config, scheduler):
    places = [
        Place(name, tmp_path / name) for name in (scheduler("sge"), scheduler("slurm"), "local")
    ]

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
    place.wait_until(has_ended)
    first = place.records()
    again = place.launch(config, "--jobs", "2", "--only", "optimizer=sgd", "--resume", "epochs=3")
    place.wait_until(lambda states: states.count("completed") == 3)

    assert f"{len(first)} of 3 experiments are stored as completed" in again.stderr
    assert len(place.records()) == 3
    assert first.items() <= place.records().items()


@pytest.mark.slow
def test_a_task_that_is_ended_goes_on_to_the_same_tables(place, slow, tmp_path):
    long = {"epochs": 600, "dataset": "datasets.iris", "architecture": [4], "callbacks": ["pace"]}
    config = tmp_path / "long.json"
    config.write_text(json.dumps({**long, "grid": {"activation_fn": ["tanh"]}}))

    place.launch(config)
    place.wait_until(lambda states: place.trained_epochs() > 0)
    place.call("--cancel")
    place.wait_until(has_ended)
    statuses = [json.loads(p.read_text())["status"] for p in place.folder.glob("runs/1/run.json")]
    slow.unlink()
    place.launch(config, "--resume")
    place.wait_until(lambda states: "completed" in states)
    whole = Place("local", tmp_path / "whole", plug_ins=tmp_path)
    whole.launch(config)

    assert statuses == ["TIMEOUT"]
    assert json.loads((place.folder / "runs/2/info.json").read_text())["continues"] == "1"
    assert place.tables() == whole.tables()


@pytest.mark.slow
def test_what_a_time_limit_has_ended_goes_on_from_its_last_epoch(place, tmp_path):
    config = tmp_path / "endless.json"
    endless = {"epochs": 10**6, "dataset": "datasets.iris", "architecture": [4]}
    config.write_text(json.dumps({**endless, "grid": {"seed": [0]}}))
    # so the signal comes after 45 seconds; that of Slurm after 40 to 70
    notice = {"sge": 75, "slurm": 50}[place.launcher]

    place.launch(config, "--resource", "time=00:02:00", "--resource", f"notice={notice}")
    place.wait_until(has_ended)
    (task,) = place.tasks()
    run = json.loads((place.folder / "runs/1/run.json").read_text())
    trained = int(task.detail.split()[1])
    place.launch(config, "--resume")
    place.wait_until(lambda states: place.trained_epochs() > trained)

    assert (task.state, run["status"]) == ("timeout", "TIMEOUT")
    assert trained > 0
    assert json.loads((place.folder / "runs/2/info.json").read_text())["continues"] == "1"


@pytest.mark.slow
def test_a_node_that_dies_costs_what_ran_there_and_a_resume_brings_it(place, node, slow, tmp_path):
    config = tmp_path / "sweep.json"
    some = {"epochs": 600, "dataset": "datasets.iris", "architecture": [4], "callbacks": ["pace"]}
    config.write_text(json.dumps({**some, "grid": {"seed": [0, 1, 2]}}))
    # Slurm itself would start a task again when its node is back, after two minutes
    for_good = {"sge": [], "slurm": ["--submit-args=--no-requeue"]}[place.launcher]
    place.launch(config, "--jobs", "1", *for_good)
    place.wait_until(lambda states: place.report() is not None)

    node.die(place.report().process)
    slow.unlink()
    place.wait_until(lambda states: "running" not in states)
    meanwhile = place.states()
    # Slurm takes it that a task of the last twenty seconds is still to be started
    time.sleep(25)
    node.come_back()
    place.wait_until(has_ended)
    after = place.states()
    again = place.call("--resume")
    place.wait_until(lambda states: states.count("completed") == 3)

    assert meanwhile == ["unknown", "queued", "queued"]
    assert after == ["lost", "completed", "completed"]
    assert "Submitted 1 experiments" in again.stderr
    assert len(place.records()) == 3


@pytest.mark.slow
def test_what_slurm_itself_starts_again_goes_on_to_the_same_tables(slow, tmp_path, scheduler):
    place = Place(scheduler("slurm"), tmp_path)
    config = tmp_path / "long.json"
    long = {"epochs": 600, "dataset": "datasets.iris", "architecture": [4], "callbacks": ["pace"]}
    config.write_text(json.dumps({**long, "grid": {"activation_fn": ["tanh"]}}))

    place.launch(config)
    place.wait_until(lambda states: place.trained_epochs() > 0)
    (job,) = [submission.job for submission, _ in follow_up.states(place.output)]
    subprocess.run(["scontrol", "requeue", f"{job}_1"], check=True)
    place.wait_until(lambda states: place.report() is None)
    slow.unlink()
    # which waits for two minutes before it starts what it has ended itself
    place.wait_until(done)
    whole = Place("local", tmp_path / "whole", plug_ins=tmp_path)
    whole.launch(config)

    statuses = {p.parent.name: json.loads(p.read_text()) for p in tmp_path.glob("runs/*/run.json")}
    assert {name: run["status"] for name, run in statuses.items()} == {
        "1": "TIMEOUT",
        "2": "COMPLETED",
    }
    assert json.loads((place.folder / "runs/2/info.json").read_text())["continues"] == "1"
    assert place.tables() == whole.tables()
    assert "No launch has left anything undone" in place.call("--resume").stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ASK)
def test_a_daemon_that_is_dead_is_one_sentence(name, config, tmp_path, monkeypatch):
    if shutil.which(ASK[name][0]) is None:
        pytest.skip(f"there is no {name} here; .ci/run starts one")
    place = Place(name, tmp_path)
    # the commands ask at a port where nobody is
    nobody = "ClusterName=x\nSlurmctldHost=localhost(127.0.0.1)\nSlurmctldPort=1\n"
    (tmp_path / "slurm.conf").write_text(nobody)
    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "slurm.conf"))
    monkeypatch.setenv("SGE_QMASTER_PORT", "1")

    result = place.call("-d", config, "--launcher", name)

    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("error: ")
    assert "took nothing: " in result.stderr.splitlines()[-1]
    assert not list(place.output.glob("*"))


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
