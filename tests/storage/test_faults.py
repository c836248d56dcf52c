"""Each row of the fault table in docs/storage.md."""

import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta

import pymongo
import pytest
import sacred
from pymongo.errors import OperationFailure

from benchmarks.mongo_server import mongo_server
from deep_bottleneck import storage
from deep_bottleneck.eval_tools import ExperimentLoader
from deep_bottleneck.records import base
from deep_bottleneck.storage.__main__ import main

DATABASE = "faults"
# the experiment of the tests below, as a process of its own
SCRIPT = """
import sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
import sacred
from deep_bottleneck import storage
folder, uri, first, last, pause = sys.argv[1:]
settings = {"DEEP_BOTTLENECK_RUNS": folder, "MONGO_URI": uri, "MONGO_DATABASE": "faults"}
for number in range(int(first), int(last)):
    ex = sacred.Experiment("small", save_git_info=False, interactive=True)
    ex.add_config(number=number, seed=0)
    ex.observers.extend(storage.observers(settings, Path("no file")))
    def main(_run):
        _run.log_scalar("test.accuracy", float(number), 0)
        _run._emit_heartbeat()
        print("running", flush=True)
        import time
        time.sleep(float(pause))
        return {"test": float(number)}
    ex.main(main)
    ex.run()
"""


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A database server that may be killed; the environment names it."""
    (tmp_path / "server").mkdir()
    with mongo_server(tmp_path / "server") as server:
        monkeypatch.setenv("MONGO_URI", server.uri)
        monkeypatch.setenv("MONGO_DATABASE", DATABASE)
        monkeypatch.setenv("DEEP_BOTTLENECK_RUNS", str(tmp_path / "runs"))
        yield server


@pytest.fixture
def experiment(tmp_path):
    """Runs an experiment that meets a fault between two metrics and two artifacts."""

    def run(uri, fault=lambda: None, size=1000):
        ex = sacred.Experiment("small", save_git_info=False)
        settings = {"MONGO_URI": uri, "MONGO_DATABASE": DATABASE}
        settings["DEEP_BOTTLENECK_RUNS"] = str(tmp_path / "runs")
        ex.add_config(seed=0)
        ex.observers.extend(storage.observers(settings, tmp_path / "no such file"))
        (tmp_path / "before.bin").write_bytes(b"a" * 1000)
        (tmp_path / "after.bin").write_bytes(b"b" * size)

        @ex.main
        def main(_run):
            _run.log_scalar("test.accuracy", 0.5, 0)
            _run.add_artifact(str(tmp_path / "before.bin"), "before")
            _run._emit_heartbeat()
            fault()
            _run.log_scalar("test.accuracy", 0.75, 1)
            _run.add_artifact(str(tmp_path / "after.bin"), "after")
            return {"test": 0.75}

        return ex.run()

    return run


def assert_complete(experiment, size=1000):
    assert experiment.status == "COMPLETED"
    assert experiment.result == {"test": 0.75}
    assert experiment.metrics["test.accuracy"].tolist() == [0.5, 0.75]
    assert experiment.artifacts["before"].read() == b"a" * 1000
    assert experiment.artifacts["after"].read() == b"b" * size


def said_by_storage(caplog):
    return [r.getMessage() for r in caplog.records if r.name.startswith("deep_bottleneck.storage")]


def test_a_database_that_is_killed_in_the_middle(server, experiment, tmp_path, caplog, capsys):
    experiment(server.uri, fault=server.kill)

    assert_complete(ExperimentLoader(path=tmp_path / "runs").find_by_id(1))
    (sentence,) = said_by_storage(caplog)
    assert "the experiment goes on in the local record" in sentence
    assert "storage sync" in sentence

    server.start()
    for _ in range(2):
        assert main(["sync"]) == 0
    assert "completed" in capsys.readouterr().out
    copy = ExperimentLoader(server.uri, DATABASE)
    assert copy.find_all().ids == [1]
    assert_complete(copy.find_by_id(1))
    assert main(["doctor"]) == 0


def test_a_database_that_is_killed_during_an_upload(server, experiment, tmp_path):
    size = 30_000_000

    def soon():
        threading.Timer(0.1, server.kill).start()

    experiment(server.uri, fault=soon, size=size)

    assert_complete(ExperimentLoader(path=tmp_path / "runs").find_by_id(1), size)
    server.kill()
    server.start()
    assert main(["sync"]) == 0
    assert_complete(ExperimentLoader(server.uri, DATABASE).find_by_id(1), size)


def test_a_wrong_password_is_not_told(mongo_uri, experiment, tmp_path, monkeypatch, caplog):
    """The server of the tests knows no users, so what MongoDB answers is played here."""

    def refuse(*args, **kwargs):
        raise OperationFailure("failed", 18, {"errmsg": "Authentication failed."})

    monkeypatch.setattr(pymongo.database.Database, "list_collection_names", refuse)

    experiment(mongo_uri.replace("mongodb://", "mongodb://me:secret@"))

    assert_complete(ExperimentLoader(path=tmp_path / "runs").find_by_id(1))
    (sentence,) = said_by_storage(caplog)
    assert "cannot be used (Authentication failed.)" in sentence
    stored = b"".join(p.read_bytes() for p in (tmp_path / "runs" / "1").iterdir())
    assert "secret" not in caplog.text
    assert b"secret" not in stored


def test_a_user_who_may_only_read(server, experiment, tmp_path, monkeypatch, caplog):
    def refuse(*args, **kwargs):
        raise OperationFailure("not authorized", 13, {"errmsg": "not authorized to execute"})

    monkeypatch.setattr(pymongo.collection.Collection, "create_index", refuse)
    monkeypatch.setattr(pymongo.collection.Collection, "insert_one", refuse)

    experiment(server.uri)

    assert_complete(ExperimentLoader(path=tmp_path / "runs").find_by_id(1))
    (sentence,) = said_by_storage(caplog)
    assert "refused: not authorized to execute; the experiment goes on" in sentence


def start(folder, uri, first, last, pause=0.0):
    arguments = [str(folder), uri, str(first), str(last), str(pause)]
    return subprocess.Popen([sys.executable, "-c", SCRIPT, *arguments], stdout=subprocess.PIPE)


def test_an_experiment_that_is_killed_is_lost_and_keeps_what_it_had(
    server, tmp_path, monkeypatch, capsys
):
    with start(tmp_path / "runs", server.uri, 1, 2, pause=60) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)

    places = [{"path": tmp_path / "runs"}, {"mongo_uri": server.uri, "db_name": DATABASE}]
    killed = [ExperimentLoader(**place).find_by_id(1) for place in places]
    assert [experiment.status for experiment in killed] == ["RUNNING", "RUNNING"]
    time.sleep(0.01)
    monkeypatch.setattr(base, "LOST_AFTER", timedelta(0))
    assert [experiment.status for experiment in killed] == ["LOST", "LOST"]
    assert [e.metrics["test.accuracy"].tolist() for e in killed] == [[1.0], [1.0]]

    assert main(["doctor", "--mend"]) == 0
    assert capsys.readouterr().out.count("marked as LOST") == 2
    assert all(experiment.stop_time for experiment in killed)


def test_two_processes_at_once_mix_nothing(server, tmp_path):
    each = 8
    processes = [start(tmp_path / "runs", server.uri, first, first + each) for first in (0, each)]
    for process in processes:
        process.communicate(timeout=100)
        assert process.returncode == 0

    places = [{"path": tmp_path / "runs"}, {"mongo_uri": server.uri, "db_name": DATABASE}]
    for place in places:
        experiments = ExperimentLoader(**place).find(status="COMPLETED")
        table = experiments.project(["number", "test.accuracy", "result.test"])
        assert sorted(table["number"]) == list(range(2 * each))
        assert (table["number"] == table["test.accuracy"]).all()
        assert (table["number"] == table["result.test"]).all()
    assert main(["sync"]) == 0
    assert len(ExperimentLoader(server.uri, DATABASE).find_all()) == 2 * each
