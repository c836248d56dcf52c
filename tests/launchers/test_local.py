import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deep_bottleneck.interfaces import Job, LaunchOptions
from deep_bottleneck.launchers import local
from deep_bottleneck.launching.submission import submissions
from deep_bottleneck.machine.processes import this_process

SCRIPT = """
import json, os, sys, time
now = time.monotonic()
time.sleep(0.5)
config = sys.argv[3]
status = "FAILED" if "bad" in config else "COMPLETED"
told = {"id": config[-6], "epoch": 1, "epochs": 2, "error": "", "status": status}
print("threads", os.environ["OMP_NUM_THREADS"], "from", now, "to", time.monotonic())
if "invalid" in config:
    sys.exit(2)
open(os.environ["DEEP_BOTTLENECK_REPORT"], "w").write(json.dumps(told))
"""


@pytest.fixture
def launch(tmp_path):
    """Launches configs whose experiments sleep for half a second, and reads their logs."""
    (tmp_path / "experiment.py").write_text(SCRIPT)

    def launch(configs, continues=None, **options):
        chosen = LaunchOptions(
            tmp_path / "experiment.py", "test", tmp_path / "output", tmp_path / "runs", **options
        )
        before = continues or {}
        jobs = [Job(name, tmp_path / name, continues=before.get(name)) for name in configs]
        outcomes = local.load(chosen).launch(jobs)
        (submission,) = submissions(tmp_path / "output")
        logs = map(submission.log_path, range(1, len(jobs) + 1))
        return outcomes, [log.read_text().split() for log in logs if log.exists()]

    return launch


def test_several_at_a_time_share_the_cores(launch, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: range(6))

    outcomes, logs = launch([f"{n}.json" for n in range(4)], at_a_time=2)

    assert [outcome.experiment_id for outcome in outcomes] == ["0", "1", "2", "3"]
    assert {log[1] for log in logs} == {"3"}
    spans = [(float(log[3]), float(log[5])) for log in logs]
    at_once = [sum(a <= start < b for a, b in spans) for start, _ in spans]
    assert max(at_once) == 2


def test_threads_that_the_user_has_chosen_stay():
    assert local.threads_share({"OMP_NUM_THREADS": "7"}, 2)["OMP_NUM_THREADS"] == "7"
    assert local.threads_share({}, 1000)["OMP_NUM_THREADS"] == "1"


def test_one_that_fails_does_not_stop_the_others(launch):
    outcomes, _ = launch(["bad_1.json", "invalid_2.json", "3.json"], at_a_time=2)

    assert [outcome.status for outcome in outcomes] == ["FAILED", "INVALID", "COMPLETED"]


def test_one_that_cannot_be_started_does_not_stop_the_others(tmp_path, launch, caplog):
    configs = {"1.json": None, "2.json": tmp_path / "runs" / "77", "3.json": None}

    outcomes, _ = launch(configs, continues=configs)

    assert [outcome.status for outcome in outcomes] == ["COMPLETED", "FAILED", "COMPLETED"]
    assert "2.json could not be started" in caplog.text
    assert "77 is no experiment: there is no config.json" in caplog.text


def test_who_asks_for_the_status_can_ask_for_the_process(launch, tmp_path):
    launch(["1.json"])

    (submission,) = submissions(tmp_path / "output")
    assert submission.process == this_process()
    assert submission.job.endswith(f":{os.getpid()}")


def test_nothing_to_do_leaves_nothing(tmp_path):
    options = LaunchOptions(tmp_path / "x.py", "test", tmp_path / "output", tmp_path / "runs")

    assert local.load(options).launch([]) == []
    assert not (tmp_path / "output").exists()


TERMINATED = """
import json, os, signal, sys, time
def end(*_):
    told = {"id": "1", "epoch": 1, "epochs": 2, "error": "", "status": "TIMEOUT"}
    open(os.environ["DEEP_BOTTLENECK_REPORT"], "w").write(json.dumps(told))
    sys.exit(75)
signal.signal(signal.SIGTERM, end)
os.kill(os.getppid(), signal.SIGTERM)
time.sleep(60)
"""


def test_termination_reaches_the_experiments(tmp_path, launch):
    (tmp_path / "experiment.py").write_text(TERMINATED)

    outcomes, _ = launch(["1.json", "2.json"])

    assert [outcome.status for outcome in outcomes] == ["TIMEOUT", "NOT STARTED"]


RECORDS = """
import sys
from datetime import datetime
from pathlib import Path
from deep_bottleneck.storage.observers.folder_record import FolderRecord
info = {"base_dir": sys.argv[2], "sources": [["experiment.py", ""]]}
sys.stdin.readline()
record = FolderRecord(Path(sys.argv[1]))
print(record.started_event(info, "run", {}, datetime.now(), {"seed": int(sys.argv[3])}, {}, None))
"""


@pytest.mark.slow
def test_experiments_that_start_together_have_ids_of_their_own(tmp_path):
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-W", "ignore", "-c", RECORDS, tmp_path / "runs", root]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    started = [
        subprocess.Popen(
            [*command, str(n)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(12)
    ]
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()

    ids = [process.communicate()[0].strip() for process in started]

    assert sorted(map(int, ids)) == list(range(1, 13))
    stored = [json.loads((tmp_path / "runs" / one / "config.json").read_text()) for one in ids]
    assert [config["seed"] for config in stored] == list(range(12))
