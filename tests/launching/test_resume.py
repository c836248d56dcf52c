import importlib
import json
import os
import sys
from dataclasses import replace

import pytest

import run_experiments
from deep_bottleneck.config import Config
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import Job, LaunchOptions
from deep_bottleneck.launching.completed import unfinished
from deep_bottleneck.launching.submission import Submission
from deep_bottleneck.storage.identity import digest_of


@pytest.fixture
def launch(tmp_path, write, monkeypatch, ended_process):
    """Keeps a launch of experiments that ended with these statuses, None without a word."""
    monkeypatch.setenv("DEEP_BOTTLENECK_OUTPUT", str(tmp_path / "output"))

    def launch(*statuses, submitted="2026-01-01", **asked):
        options = LaunchOptions(
            tmp_path / "experiment.py", "sweep", tmp_path / "output", tmp_path / "runs", **asked
        )
        numbers = range(1, len(statuses) + 1)
        jobs = [Job(f"s_{n}", write(f"s_{n}.json", epochs=n, seed=0)) for n in numbers]
        submission = Submission.create(options, "launchers.local", jobs)
        submission = replace(submission, submitted=submitted, process=ended_process)
        submission.write()
        for number, status in zip(numbers, statuses, strict=True):
            if status:
                told = {"id": str(number), "status": status, "process": ended_process}
                submission.report_path(number).write_text(json.dumps(told))
        return submission

    return launch


@pytest.fixture
def undone(tmp_path):
    def undone():
        found = unfinished(tmp_path / "output", tmp_path)
        return [[(job.name, job.continues) for job in jobs] for _, jobs in found]

    return undone


@pytest.fixture
def store(tmp_path):
    """Stores an experiment of a launch."""

    def store(number, status):
        record = tmp_path / "runs" / str(number)
        record.mkdir(parents=True)
        (tmp_path / "code.py").write_text("answer = 42")
        sources = [["code.py", f"_sources/code_{digest_of(b'answer = 42')}.py"]]
        run = {"status": status, "experiment": {"sources": sources}}
        (record / "run.json").write_text(json.dumps(run))
        config = Config.parse({"epochs": number, "seed": 0}).defaults()
        (record / "config.json").write_text(json.dumps(config))
        for name in ("checkpoint.h5", "activations.h5"):
            (record / name).touch()
        return record

    return store


def test_what_ended_before_its_end_is_launched_again(launch, undone):
    launch("COMPLETED", "FAILED", "TIMEOUT", "INTERRUPTED", "RUNNING", None)

    assert undone() == [[(f"s_{n}", None) for n in (2, 3, 4, 5, 6)]]


def test_what_was_launched_again_or_cancelled_is_not(launch, undone):
    launch("FAILED", "TIMEOUT")
    replace(launch("TIMEOUT", "COMPLETED", submitted="2026-01-02"), cancelled=True).write()

    assert undone() == []


def test_what_is_stored_is_not_and_what_left_a_checkpoint_goes_on(launch, undone, store):
    launch("FAILED", "TIMEOUT")
    store(1, "COMPLETED")
    record = store(2, "TIMEOUT")

    assert undone() == [[("s_2", record)]]


MY_LAUNCHER = """
launched = []

class Launcher:
    def __init__(self, options):
        self.options = options

    def preview(self, jobs):
        return f"a preview of {len(jobs)}"

    def launch(self, jobs):
        launched.append((self.options, [job.name for job in jobs]))
        return []

load = Launcher
"""


@pytest.fixture
def launched(tmp_path, monkeypatch):
    """What a launcher of our own was asked to launch."""
    (tmp_path / "our_lab").mkdir()
    (tmp_path / "our_lab" / "launcher.py").write_text(MY_LAUNCHER)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("our_lab.launcher").launched
    for name in ("our_lab", "our_lab.launcher"):
        del sys.modules[name]


@pytest.fixture
def timed_out(launch):
    """A launch by that launcher, with an experiment that has run out of time."""
    asked = {"profile": "gpu", "resources": ("time=01:00:00",), "at_a_time": 3}
    submission = replace(launch("COMPLETED", "TIMEOUT", **asked), launcher="our_lab.launcher")
    submission.write()
    return submission


def test_the_command_launches_as_before_but_for_what_it_says(launched, timed_out):
    assert run_experiments.main(["--resume", "--resource", "time=08:00:00", "--jobs", "2"]) == 0

    ((options, names),) = launched
    assert names == ["s_2"]
    assert (options.name, options.output) == ("sweep", timed_out.folder.parent)
    assert (options.profile, options.at_a_time) == ("gpu", 2)
    assert options.resources == ("time=01:00:00", "time=08:00:00")


def test_another_launcher_takes_no_resources_of_the_first(launched, timed_out):
    replace(timed_out, launcher="launchers.elsewhere").write()

    assert run_experiments.main(["--resume", "--launcher", "our_lab.launcher"]) == 0

    ((options, names),) = launched
    assert names == ["s_2"]
    assert (options.profile, options.resources, options.at_a_time) == (None, (), None)


def test_a_launcher_by_another_path_takes_the_resources_as_well(timed_out, monkeypatch, capsys):
    monkeypatch.setenv("PATH", "")
    asked = {"profile": "slurm", "resources": ["time=01:00:00"]}
    replace(timed_out, launcher="launchers.slurm", asked=asked).write()

    for launcher in ("slurm", "deep_bottleneck.launchers.slurm"):
        assert run_experiments.main(["--resume", "--dry-run", "--launcher", launcher]) == 0
        assert "#SBATCH --time=01:00:00" in capsys.readouterr().out


def test_what_a_cluster_of_ones_own_may_still_have_is_not_launched_twice(launch, undone):
    submission = replace(launch(None, "FAILED"), launcher="our_lab.lsf", job="17")
    submission.write()
    os.utime(submission.folder, (0, 0))

    assert undone() == [[("s_2", None)]]


def test_a_dry_run_only_says_it(launched, timed_out, capsys):
    assert run_experiments.main(["--resume", "--dry-run"]) == 0

    assert capsys.readouterr().out.split("\n\n")[:2] == ["s_2", "a preview of 1"]
    assert launched == []


def test_with_nothing_to_do_the_command_says_so(launch, caplog):
    launch("COMPLETED")

    with caplog.at_level("INFO"):
        assert run_experiments.main(["--resume"]) == 0

    assert "No launch has left anything undone" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--resume", "epochs=3"], "--resume without -d launches what was launched"),
        (["--resume", "--only", "epochs=3"], "--resume without -d launches what was launched"),
        ([], "say what to do: -d PATH, --resume"),
    ],
)
def test_a_command_that_says_too_little_or_too_much_is_one_sentence(arguments, sentence, capsys):
    with pytest.raises(SystemExit) as end:
        run_experiments.main(arguments)

    assert end.value.code == 2
    assert sentence in capsys.readouterr().err


def test_a_config_that_is_no_more_what_it_was_is_one_sentence(timed_out, undone, write):
    write("s_2.json", grid={"seed": [0, 1]})
    with pytest.raises(ConfigError, match=r"s_2.json has become a sweep; launch it with -d"):
        undone()

    timed_out.tasks[1].config.unlink()
    with pytest.raises(ConfigError, match=r"s_2.json: there is no such file"):
        undone()
