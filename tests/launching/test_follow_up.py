import importlib
import os
import time
from dataclasses import replace

import pytest

from deep_bottleneck.interfaces import Listed
from deep_bottleneck.launching import follow_up
from deep_bottleneck.launching.submission import Submission
from deep_bottleneck.machine.processes import this_process


class FakeScheduler:
    """Lists and knows what a test says."""

    name = "Slurm"

    def __init__(self):
        self.tasks, self.accounting, self.cancelled = {}, {}, []

    def listed(self):
        return {("8", 1): Listed("running"), **self.tasks}

    def ended(self, job):
        return self.accounting

    def cancel(self, job):
        self.cancelled.append(job)


@pytest.fixture
def scheduler(monkeypatch, submission):
    replace(submission, job="7").write()
    fake = FakeScheduler()
    monkeypatch.setattr("deep_bottleneck.launchers.slurm.QUEUE", fake)
    return fake


@pytest.fixture
def states(tmp_path):
    def states():
        return [
            [(task.state, task.detail) for task in tasks]
            for _, tasks in follow_up.states(tmp_path / "output")
        ]

    return states


def test_what_is_listed_waits_or_runs(scheduler, states, tell):
    scheduler.tasks = {
        ("7", 1): Listed("running"),
        ("7", 2): Listed("running"),
        ("7", 3): Listed("queued"),
        ("7", 4): Listed("queued", "Slurm: PartitionTimeLimit"),
    }
    tell(1, "RUNNING", epoch=4)

    assert states() == [
        [
            ("running", "epoch 5 of 20 (25 %)"),
            ("running", ""),
            ("queued", ""),
            ("queued", "Slurm: PartitionTimeLimit"),
        ]
    ]


def test_the_record_says_how_a_task_ended(scheduler, states, tell):
    tell(1, "COMPLETED", epoch=19)
    tell(2, "FAILED", error="ValueError: no such thing")
    tell(3, "TIMEOUT", epoch=9)
    tell(4, "INTERRUPTED", epoch=1)

    assert states() == [
        [
            ("completed", ""),
            ("failed", "ValueError: no such thing"),
            ("timeout", "epoch 10 of 20 (50 %)"),
            ("interrupted", "epoch 2 of 20 (10 %)"),
        ]
    ]


def test_what_is_listed_no_more_is_unknown_until_something_tells(
    scheduler, states, tell, submission
):
    tell(1, "RUNNING")
    tell(2, "RUNNING")
    scheduler.accounting = {3: "exit status 137"}
    submission.log_path(3).write_text("started\nKilled\n\n")
    long_ago = time.time() - 3600
    os.utime(submission.report_path(2), (long_ago, long_ago))

    assert states() == [
        [
            ("unknown", ""),
            ("lost", "no sign of life for 60 minutes"),
            ("lost", "exit status 137; Killed"),
            ("unknown", ""),
        ]
    ]


def test_what_has_ended_without_a_word_on_this_machine_is_lost_at_once(
    scheduler, states, tell, ended_process
):
    tell(1, "RUNNING", process=ended_process, epoch=3)
    tell(2, "RUNNING", process=this_process())
    tell(3, "TIMEOUT", process=ended_process)

    assert [state for state, _ in states()[0]] == ["lost", "unknown", "timeout", "unknown"]


def test_what_is_listed_but_shows_no_life_is_unknown_and_can_be_cancelled(
    scheduler, states, tell, submission, ended_process, tmp_path
):
    scheduler.tasks = {("7", task): Listed("running") for task in (1, 2)}
    tell(1, "RUNNING", process=ended_process)
    tell(2, "RUNNING", process="elsewhere")
    long_ago = time.time() - 3600
    os.utime(submission.report_path(2), (long_ago, long_ago))

    assert states()[0][:2] == [
        ("unknown", "its process has ended"),
        ("unknown", "no sign of life for 60 minutes"),
    ]
    follow_up.cancel(tmp_path / "output")
    assert scheduler.cancelled == ["7"]


def test_an_end_that_is_told_while_we_look_counts(submission, tell, ended_process, monkeypatch):
    def tells_its_end(process):
        tell(1, "COMPLETED", process=process)
        return False

    tell(1, "RUNNING", process=ended_process)
    monkeypatch.setattr("deep_bottleneck.launching.submission.is_alive", tells_its_end)

    assert submission.report(1).status == "COMPLETED"


def test_a_mistake_at_run_time_is_told_by_the_log(scheduler, states, tell, submission):
    tell(1, "FAILED", error="SystemExit: 2")
    submission.log_path(1).write_text("error: mnist.npz is not MNIST\n")

    assert states()[0][0] == ("failed", "error: mnist.npz is not MNIST")


def test_what_was_launched_again_is_told_once(scheduler, states, tell, submission, options, jobs):
    tell(1, "COMPLETED")
    tell(2, "FAILED")
    again = replace(Submission.create(options, "launchers.slurm", jobs[1:]), submitted="9999-01-01")
    again.write()

    first, second = states()

    assert [state for state, _ in first] == ["completed", *["resubmitted"] * 3]
    assert [state for state, _ in second] == ["unknown"] * 3


def test_a_table_has_a_line_for_what_needs_a_look(scheduler, tell, tmp_path):
    scheduler.tasks = {("7", 4): Listed("queued")}
    tell(1, "COMPLETED")
    tell(2, "FAILED", error="ValueError: no such thing")
    tell(3, "COMPLETED")

    (found,) = follow_up.states(tmp_path / "output")
    lines = follow_up.table(*found).splitlines()

    assert lines[0].endswith("(slurm 7): 2 completed, 1 failed, 1 queued")
    assert lines[2].split() == [
        "2",
        "sweep_2",
        "12",
        "failed",
        "ValueError:",
        "no",
        "such",
        "thing",
    ]
    assert len(lines) == 3


def test_a_table_of_many_shows_some_of_them_what_went_wrong_first(scheduler, tell, tmp_path):
    scheduler.tasks = {("7", task): Listed("queued", "Slurm: JobHeldUser") for task in (1, 2, 3)}
    tell(4, "FAILED", error="ValueError: no such thing")
    (found,) = follow_up.states(tmp_path / "output")
    submission, tasks = found

    lines = follow_up.table(submission, [*tasks[:3] * 10, tasks[3]]).splitlines()

    assert lines[2].split()[:4] == ["4", "sweep_4", "14", "failed"]
    assert lines[-1] == "... and 11 more"
    assert len(lines) == 2 + follow_up.SHOWN_TASKS + 1


def test_cancelling_ends_what_waits_or_runs_and_nothing_else(scheduler, tell, states, tmp_path):
    scheduler.tasks = {("7", 2): Listed("running"), ("7", 3): Listed("queued")}
    tell(1, "COMPLETED")

    (cancelled,) = follow_up.cancel(tmp_path / "output")

    assert scheduler.cancelled == [cancelled.job] == ["7"]
    scheduler.tasks = {}
    assert [state for state, _ in states()[0]] == ["completed", *["cancelled"] * 3]
    assert follow_up.cancel(tmp_path / "output") == []


def test_only_what_may_still_run_is_left_alone_by_a_resume(scheduler, tell, jobs, tmp_path):
    scheduler.tasks = {("7", 2): Listed("running")}
    scheduler.accounting = {3: "exit status 1"}
    tell(1, "FAILED")

    active = follow_up.active_jobs(tmp_path / "output")

    assert active == {follow_up.key(jobs[1]), follow_up.key(jobs[3])}


@pytest.fixture
def local_launch(submission):
    """Makes the launch one on this or another machine, whose process is this one, has ended, ..."""

    def local_launch(process):
        local = replace(submission, launcher="launchers.local", job="vm:779", process=process)
        local.write()

    return local_launch


def fall_silent(submission):
    for path in [*submission.folder.rglob("*"), submission.folder]:
        os.utime(path, (0, 0))


def test_a_local_launch_goes_on_while_its_process_is_there(
    submission, local_launch, tell, states, tmp_path, jobs
):
    """Between two experiments nothing else tells that it does."""
    local_launch(this_process())
    tell(1, "COMPLETED")
    fall_silent(submission)

    assert [state for state, _ in states()[0]] == ["completed", "queued", "queued", "queued"]
    assert follow_up.active_jobs(tmp_path / "output") == set(map(follow_up.key, jobs[1:]))


def test_a_local_launch_ends_with_its_process(
    submission, local_launch, tell, states, ended_process
):
    local_launch(ended_process)
    tell(1, "COMPLETED")
    tell(2, "RUNNING")

    assert [state for state, _ in states()[0]] == ["completed", "running", "lost", "lost"]


def test_an_experiment_may_outlive_the_launch(
    submission, local_launch, tell, states, ended_process
):
    local_launch(ended_process)
    tell(2, "RUNNING", process=this_process())
    fall_silent(submission)

    assert [state for state, _ in states()[0]] == ["lost", "running", "lost", "lost"]


@pytest.mark.parametrize("process", ["", "elsewhere/pid:[1]/1/1"])
def test_a_local_launch_elsewhere_goes_on_while_it_is_heard_of(
    submission, local_launch, tell, states, process
):
    local_launch(process)
    tell(1, "COMPLETED")
    tell(2, "RUNNING")

    assert [state for state, _ in states()[0]] == ["completed", "running", "queued", "queued"]
    fall_silent(submission)
    assert [state for state, _ in states()[0]] == ["completed", "lost", "lost", "lost"]


def test_what_is_silent_on_a_cluster_is_not_lost_while_its_process_is_there(
    scheduler, states, tell, submission
):
    tell(1, "RUNNING", process=this_process())
    fall_silent(submission)

    assert states()[0][0] == ("unknown", "")


def test_a_scheduler_that_is_not_on_this_machine_is_no_reason_to_stop(
    submission, tell, states, monkeypatch, caplog
):
    monkeypatch.setenv("PATH", "")
    replace(submission, launcher="launchers.slurm", job="7").write()
    tell(1, "FAILED")
    tell(2, "COMPLETED")
    fall_silent(submission)

    assert [state for state, _ in states()[0]] == ["failed", "completed", "unknown", "unknown"]
    assert "Slurm has of the launches is unknown here" in caplog.text


@pytest.mark.parametrize("said", [None, ""], ids=["not there", "says nothing"])
def test_where_nobody_can_be_asked_what_does_not_tell_is_unknown_and_never_lost(
    submission, own_launcher, tell, states, ended_process, tmp_path, jobs, caplog, said
):
    launcher = "our_lab.nowhere" if said is None else own_launcher(said)
    replace(submission, launcher=launcher, job="7", process=ended_process).write()
    tell(1, "RUNNING", process="elsewhere")
    fall_silent(submission)
    tell(2, "RUNNING", process=ended_process)
    tell(3, "RUNNING", epoch=4)

    found = [(state, detail.partition(" for ")[0]) for state, detail in states()[0]]

    assert found == [
        ("unknown", "no sign of life"),
        ("unknown", "its process has ended"),
        ("running", "epoch 5 of 20 (25 %)"),
        ("unknown", ""),
    ]
    assert follow_up.active_jobs(tmp_path / "output") == set(map(follow_up.key, jobs))
    assert f"What {launcher} has of the launches is unknown here: " in caplog.text


def test_what_has_told_its_end_is_known_whoever_launched_it(submission, tell, states, caplog):
    replace(submission, launcher="our_lab.nowhere", job="7").write()
    for number, status in enumerate(["COMPLETED", "FAILED", "COMPLETED", "FAILED"], 1):
        tell(number, status)

    assert [state for state, _ in states()[0]] == ["completed", "failed"] * 2
    assert not caplog.text


OWN_QUEUE = """
from deep_bottleneck.interfaces import Listed

class Lsf:
    name = "LSF"
    cancelled = []

    def listed(self):
        return {("7", 1): Listed("running"), ("7", 2): Listed("queued", "LSF: PSUSP")}

    def ended(self, job):
        return {3: "exit status 137"}

    def cancel(self, job):
        self.cancelled.append(job)

QUEUE = Lsf()
"""


def test_the_queue_of_a_launcher_of_ones_own_is_asked(submission, own_launcher, states, tmp_path):
    launcher = own_launcher(OWN_QUEUE)
    replace(submission, launcher=launcher, job="7").write()

    assert states() == [
        [
            ("running", ""),
            ("queued", "LSF: PSUSP"),
            ("lost", "exit status 137"),
            ("unknown", ""),
        ]
    ]
    (cancelled,) = follow_up.cancel(tmp_path / "output")
    assert importlib.import_module(launcher).QUEUE.cancelled == [cancelled.job] == ["7"]


def test_a_launcher_of_ones_own_that_waits_ends_with_its_process(
    submission, own_launcher, tell, states, ended_process
):
    waits = replace(submission, launcher=own_launcher("WAITS = True"))
    tell(1, "COMPLETED")

    waits.write()
    assert [state for state, _ in states()[0]] == ["completed", *["queued"] * 3]
    replace(waits, process=ended_process).write()
    assert states()[0][1:] == [("lost", "the launch has ended")] * 3
