"""How the tasks of launches are doing, and how to end them.

Out of what the experiments report and what the queue of their launcher lists. A task that is in no
list any more and has not told its end is *unknown* until the accounting, the end of its process on
this machine or a long silence says that it is *lost*. One that is still listed as running but shows
no life is *unknown* too: the queue may give it up, or start it again. So is one that is silent
where nobody can be asked: on a machine without the queue, or by a launcher that offers none.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import pandas as pd

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import Job, Listed, Listing, Queue, State, Status
from deep_bottleneck.launching.plug_in import LauncherPlugIn
from deep_bottleneck.launching.submission import Report, Submission, submissions
from deep_bottleneck.machine.processes import is_alive

logger = logging.getLogger(__name__)

SILENT_AFTER_SECONDS = 300
PROCESS_ENDED = "its process has ended"
LAUNCH_ENDED = "the launch has ended"
# a task with such a report is done with, whatever a queue says
FINAL = (Status.COMPLETED, Status.FAILED)
SETTLED = (State.COMPLETED, State.RUNNING, State.QUEUED)
ACTIVE = (State.QUEUED, State.RUNNING, State.UNKNOWN)
SHOWN_LENGTH = 100
SHOWN_TASKS = 20


@dataclass(frozen=True)
class TaskState:
    """How a task is doing.

    Attributes:
        number: its number in the launch.
        job: its experiment.
        state: one of `State`, or in small letters another word that its record says.
        experiment_id: the id of its record, "" before it has one.
        detail: how far it is, or what went wrong.
        is_listed: whether a queue has it in its list.
    """

    number: int
    job: Job
    state: str
    experiment_id: str = ""
    detail: str = ""
    is_listed: bool = False


def states(output: Path) -> Iterator[tuple[Submission, list[TaskState]]]:
    """All launches that are kept in a folder, with the state of each task, the oldest first.

    Raises:
        SchedulerError: if a queue that has tasks of ours does not answer.
    """
    # each launcher is asked for its list only once, and only if need be
    asked = cache(_asked)
    kept = list(submissions(output))
    last = {key(job): submission.folder for submission in kept for job in submission.tasks}
    for submission in kept:
        found = _states(submission, asked)
        yield (
            submission,
            [
                replace(task, state=State.RESUBMITTED)
                if last[key(task.job)] != submission.folder and task.state not in SETTLED
                else task
                for task in found
            ],
        )


def table(submission: Submission, tasks: Sequence[TaskState]) -> str:
    """A line about a launch and one about each task that does not just wait or is complete."""
    counts = Counter(task.state for task in tasks)
    summary = ", ".join(f"{count} {state}" for state, count in counts.most_common())
    title = f"{submission.folder.name} ({submission.launcher.rpartition('.')[2]} {submission.job})"
    telling = [
        task
        for task in tasks
        if task.state not in {State.QUEUED, State.COMPLETED, State.RESUBMITTED} or task.detail
    ]
    if not telling:
        return f"{title}: {summary}"
    rows = [
        (task.number, task.job.name, task.experiment_id or "-", task.state, task.detail)
        for task in sorted(telling, key=lambda task: task.state == State.QUEUED)[:SHOWN_TASKS]
    ]
    frame = pd.DataFrame(rows, columns=["task", "experiment", "id", "state", "detail"])
    left = len(telling) - len(rows)
    more = f"\n... and {left} more" if left else ""
    return f"{title}: {summary}\n{frame.to_string(index=False)}{more}"


def cancel(output: Path) -> list[Submission]:
    """End all tasks that a queue has in its list.

    Returns:
        The launches that had any.

    Raises:
        SchedulerError: if a queue refuses.
        ConfigError: if it cannot be asked on this machine.
    """
    ended = []
    for submission, tasks in states(output):
        is_listed = any(task.is_listed for task in tasks)
        queue = LauncherPlugIn.find(submission.launcher).queue if is_listed else None
        if queue:
            queue.cancel(submission.job)
            replace(submission, cancelled=True).write()
            ended.append(submission)
    return ended


def active_jobs(output: Path) -> set[tuple[Path, tuple[str, ...]]]:
    """The experiments that wait or run, or may do so for all that is known, by config and updates.

    Raises:
        SchedulerError: if a queue that has tasks of ours does not answer.
    """
    return {key(task.job) for _, tasks in states(output) for task in tasks if task.state in ACTIVE}


def key(job: Job) -> tuple[Path, tuple[str, ...]]:
    """What tells an experiment from others: its config and updates."""
    return job.config.resolve(), job.updates


@dataclass(frozen=True)
class _Answer:
    """What a launcher answers: its queue, if it has one, and what that lists."""

    queue: Queue | None
    listing: Listing


Asked = Callable[[str], _Answer | None]


def _asked(path: str) -> _Answer | None:
    """Ask a launcher; None, and a warning, where nobody here can tell."""
    name = path
    try:
        launcher = LauncherPlugIn.find(path)
        if launcher.queue:
            name = launcher.queue.name
            return _Answer(launcher.queue, launcher.queue.listed())
        if launcher.waits:
            return _Answer(None, {})
        reason = "the launcher offers no QUEUE to ask, and does not say that it WAITS"
    except ConfigError as error:
        reason = str(error)
    logger.warning("What %s has of the launches is unknown here: %s", name, reason)
    return None


@dataclass(frozen=True)
class _Signs:
    """What others than the experiments tell of the tasks of a launch, by their numbers.

    Attributes:
        listed: those in the list of a queue.
        ended: how those have ended of which that is known.
        waits: whether the others wait for their turn in a launch that goes on.
    """

    listed: Mapping[int, Listed] = field(default_factory=dict)
    ended: Mapping[int, str] = field(default_factory=dict)
    waits: bool = False


def _states(submission: Submission, asked: Asked) -> list[TaskState]:
    reports = {n: submission.report(n) for n in range(1, len(submission.tasks) + 1)}
    signs = _signs(submission, reports, asked)
    return [_state(submission, number, report, signs) for number, report in reports.items()]


def _signs(
    submission: Submission, reports: Mapping[int, Report | None], asked: Asked
) -> _Signs | None:
    """What can be known besides reports, None where nobody can tell; asks only if need be."""
    unsettled = [n for n, told in reports.items() if told is None or told.status not in FINAL]
    if not unsettled:
        return _Signs()
    answer = asked(submission.launcher)
    if answer is None:
        return None
    if answer.queue is None:
        silent = [n for n in unsettled if not _is_heard(reports[n])]
        ended = {} if _goes_on(submission, reports) else dict.fromkeys(silent, LAUNCH_ENDED)
        return _Signs(ended=ended, waits=True)
    job = submission.job
    listed = {n: answer.listing[job, n] for n in unsettled if job and (job, n) in answer.listing}
    unexplained = [n for n in unsettled if n not in listed and _is_open(reports[n])]
    return _Signs(listed, answer.queue.ended(job) if job and unexplained else {})


def _state(
    submission: Submission, number: int, report: Report | None, signs: _Signs | None
) -> TaskState:
    job, experiment_id = submission.tasks[number - 1], report.id if report else ""
    task = TaskState(number, job, State.UNKNOWN, experiment_id)
    if report and report.status in FINAL:
        detail = report.error or "" if report.status == Status.FAILED else ""
        if detail.startswith("SystemExit"):
            detail = _last_line(submission.log_path(number))
        return replace(task, state=report.status.lower(), detail=detail[:SHOWN_LENGTH])
    listed = signs.listed.get(number) if signs else None
    if listed:
        task = replace(task, is_listed=True)
        runs = listed.state == State.RUNNING
        doubt = _doubt(report) if runs else ""
        if doubt:
            return replace(task, detail=doubt)
        detail = listed.remark or (_progress(report) if runs else "")
        return replace(task, state=listed.state, detail=detail)
    if submission.cancelled:
        return replace(task, state=State.CANCELLED, detail=_progress(report))
    if report and report.status != Status.RUNNING:
        return replace(task, state=report.status.lower(), detail=_progress(report))
    if signs is None:
        if _is_heard(report):
            return replace(task, state=State.RUNNING, detail=_progress(report))
        return replace(task, detail=_doubt(report))
    if number in signs.ended or (report and report.is_lost):
        said = [signs.ended.get(number, PROCESS_ENDED), _last_line(submission.log_path(number))]
        detail = "; ".join(filter(None, said))[:SHOWN_LENGTH]
        return replace(task, state=State.LOST, detail=detail)
    if signs.waits:
        state = State.RUNNING if report else State.QUEUED
        return replace(task, state=state, detail=_progress(report))
    silence = _silence_of(report) if report else _silence(submission.folder.stat().st_mtime)
    return replace(task, state=State.LOST, detail=silence) if silence else task


def _doubt(report: Report | None) -> str:
    """Why a task that should be running may not run, "" where nothing says so."""
    if report is None or report.status != Status.RUNNING:
        return ""
    return PROCESS_ENDED if report.is_lost else _silence_of(report)


def _silence_of(report: Report) -> str:
    """How long an experiment was silent, "" if not for long or if its process is there."""
    return "" if is_alive(report.process) else _silence(report.modified)


def _silence(since: float) -> str:
    """How long there was no sign of life, "" if not for long."""
    silent = time.time() - since
    if silent < SILENT_AFTER_SECONDS:
        return ""
    return f"no sign of life for {silent / 60:.0f} minutes"


def _goes_on(submission: Submission, reports: Mapping[int, Report | None]) -> bool:
    """Whether a launch that waits goes on: its process tells, or else signs of life."""
    alive = is_alive(submission.process)
    if alive is None:
        is_young = not _silence(submission.folder.stat().st_mtime)
        return is_young or any(map(_is_heard, reports.values()))
    return alive


def _is_heard(report: Report | None) -> bool:
    """Whether an experiment runs, as far as it tells."""
    return report is not None and report.status == Status.RUNNING and not _doubt(report)


def _is_open(report: Report | None) -> bool:
    return report is None or report.status == Status.RUNNING


def _progress(report: Report | None) -> str:
    if report is None or not report.epochs:
        return ""
    done = 0 if report.epoch is None else report.epoch + 1
    return f"epoch {done} of {report.epochs} ({100 * done // report.epochs} %)"


def _last_line(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 4096))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
