"""Each row of the fault table in docs/storage.md."""

import datetime
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest
from faults import DATABASE, assert_complete, said_by_storage, wait_for_copy
from mongo_proxy import Guard, listening, port_of

from deep_bottleneck.eval_tools import ExperimentLoader
from deep_bottleneck.storage import base
from deep_bottleneck.storage.__main__ import main

WRITING = frozenset(("insert", "update", "delete", "createIndexes", "findAndModify", "drop"))
# the experiment of the tests below, as a process of its own
SCRIPT = """
import sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
import sacred
from deep_bottleneck.storage import observers
folder, uri, first, last, pause = sys.argv[1:]
settings = {"DEEP_BOTTLENECK_RUNS": folder, "MONGO_URI": uri, "MONGO_DATABASE": "faults"}
for number in range(int(first), int(last)):
    ex = sacred.Experiment("small", save_git_info=False, interactive=True)
    ex.add_config(number=number, seed=0)
    ex.observers.extend(observers.configured(settings, Path("no file")))
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


def test_a_database_that_is_killed_in_the_middle(server, experiment, tmp_path, caplog, capsys):
    def kill():
        wait_for_copy(server)
        server.kill()

    experiment(server.uri, fault=kill)

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
        wait_for_copy(server)
        threading.Timer(0.1, server.kill).start()

    experiment(server.uri, fault=soon, size=size)

    assert_complete(ExperimentLoader(path=tmp_path / "runs").find_by_id(1), size)
    server.kill()
    server.start()
    assert main(["sync"]) == 0
    assert_complete(ExperimentLoader(server.uri, DATABASE).find_by_id(1), size)


@pytest.fixture
def guard(server):
    """Who asks at the server's door for a password; the server itself knows no users."""
    with listening(Guard(port_of(server.uri))) as guard:
        yield guard


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256"])
def test_the_right_password_opens(guard, server, experiment, caplog, mechanism):
    login = f"me:secret@127.0.0.1:{guard.port}/?authMechanism={mechanism}"

    experiment(f"mongodb://{login}")

    assert not said_by_storage(caplog)
    assert_complete(ExperimentLoader(server.uri, DATABASE).find_by_id(1))


def test_a_wrong_password_is_not_told(guard, experiment, tmp_path, caplog):
    experiment(f"mongodb://me:mistaken@127.0.0.1:{guard.port}")

    assert_complete(ExperimentLoader(path=tmp_path / "runs").find_by_id(1))
    (sentence,) = said_by_storage(caplog)
    assert "cannot be used (Authentication failed.)" in sentence
    stored = b"".join(p.read_bytes() for p in (tmp_path / "runs" / "1").iterdir())
    assert "mistaken" not in caplog.text
    assert b"mistaken" not in stored


def test_a_user_who_may_only_read(guard, server, experiment, tmp_path, caplog):
    guard.refuses = WRITING

    experiment(f"mongodb://me:secret@127.0.0.1:{guard.port}")

    assert_complete(ExperimentLoader(path=tmp_path / "runs").find_by_id(1))
    (sentence,) = said_by_storage(caplog)
    assert "refused: not authorized on faults to execute command; the experiment" in sentence
    assert not ExperimentLoader(server.uri, DATABASE).find_all().ids


def test_a_password_that_is_changed_while_the_experiment_runs(
    guard, server, experiment, tmp_path, caplog
):
    def change():
        guard.password = guard.password[::-1]
        guard.cut()
        guard.mend()

    experiment(f"mongodb://me:secret@127.0.0.1:{guard.port}", fault=change)

    assert_complete(ExperimentLoader(path=tmp_path / "runs").find_by_id(1))
    (sentence,) = said_by_storage(caplog)
    assert "; the experiment goes on in the local record" in sentence
    assert "secret" not in sentence
    assert main(["sync"]) == 0
    assert_complete(ExperimentLoader(server.uri, DATABASE).find_by_id(1))


@pytest.mark.parametrize("command", sorted(WRITING - {"delete", "drop", "findAndModify"}))
def test_a_user_who_may_no_longer_do_one_thing(
    guard, server, experiment, tmp_path, caplog, command
):
    def restrict():
        wait_for_copy(server)
        guard.refuses = {command}

    experiment(f"mongodb://me:secret@127.0.0.1:{guard.port}", fault=restrict)

    assert_complete(ExperimentLoader(path=tmp_path / "runs").find_by_id(1))
    for sentence in said_by_storage(caplog):
        assert "refused: not authorized on faults to execute command; the experiment" in sentence
    assert main(["sync"]) == 0
    assert_complete(ExperimentLoader(server.uri, DATABASE).find_by_id(1))


@pytest.mark.parametrize("days", [400, -400])
def test_a_clock_that_jumps(server, experiment, tmp_path, caplog, monkeypatch, days):
    jump = datetime.timedelta(days=days)

    class Jumped(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.datetime.now(tz) + jump

        @classmethod
        def utcnow(cls):
            return datetime.datetime.now(datetime.UTC).replace(tzinfo=None) + jump

    def set_clock():
        clock = SimpleNamespace(**{**vars(datetime), "datetime": Jumped})
        monkeypatch.setattr("sacred.run.datetime", clock)
        monkeypatch.setattr("sacred.metrics_logger.datetime", clock)

    experiment(server.uri, fault=set_clock)

    assert not said_by_storage(caplog)
    for place in ({"path": tmp_path / "runs"}, {"mongo_uri": server.uri, "db_name": DATABASE}):
        found = ExperimentLoader(**place).find_by_id(1)
        assert_complete(found)
        assert (found.stop_time < found.start_time) == (days < 0)
    assert main(["sync"]) == 0
    assert main(["doctor"]) == 0


def test_a_database_that_is_full(guard, server, experiment, tmp_path, caplog):
    guard.reason = (14031, "available disk space of 0 bytes is less than required minimum")

    def fill():
        guard.refuses = WRITING

    experiment(f"mongodb://me:secret@127.0.0.1:{guard.port}", fault=fill)

    assert_complete(ExperimentLoader(path=tmp_path / "runs").find_by_id(1))
    (sentence,) = said_by_storage(caplog)
    assert "refused: available disk space of 0 bytes is less than required minimum;" in sentence
    assert main(["sync"]) == 0
    assert_complete(ExperimentLoader(server.uri, DATABASE).find_by_id(1))


def start(folder, uri, first, last, pause=0.0):
    arguments = [str(folder), uri, str(first), str(last), str(pause)]
    return subprocess.Popen([sys.executable, "-c", SCRIPT, *arguments], stdout=subprocess.PIPE)


def test_an_experiment_that_is_killed_is_lost_and_keeps_what_it_had(
    server, tmp_path, monkeypatch, capsys
):
    with start(tmp_path / "runs", server.uri, 1, 2, pause=60) as process:
        process.stdout.readline()
        wait_for_copy(server)
        process.send_signal(signal.SIGKILL)

    places = [{"path": tmp_path / "runs"}, {"mongo_uri": server.uri, "db_name": DATABASE}]
    killed = [ExperimentLoader(**place).find_by_id(1) for place in places]
    assert [experiment.status for experiment in killed] == ["RUNNING", "RUNNING"]
    time.sleep(0.01)
    monkeypatch.setattr(base, "LOST_AFTER", datetime.timedelta(0))
    assert [experiment.status for experiment in killed] == ["LOST", "LOST"]
    assert [e.metrics["test.accuracy"].tolist() for e in killed] == [[1.0], [1.0]]

    assert main(["doctor", "--mend"]) == 0
    assert capsys.readouterr().out.count("marked as LOST") == 2
    assert all(experiment.stop_time for experiment in killed)


@pytest.mark.parametrize("each", [8, pytest.param(50, marks=pytest.mark.slow)])
def test_two_processes_at_once_mix_nothing(server, tmp_path, each):
    processes = [start(tmp_path / "runs", server.uri, first, first + each) for first in (0, each)]
    for process in processes:
        process.communicate(timeout=300)
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
