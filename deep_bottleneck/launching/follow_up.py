"""How the tasks of launches are doing, and how to end them.

Out of what the experiments report and what the scheduler lists. A task that is in no list any more
and has not told its end is *unknown* until the accounting, the end of its process on this machine
or a long silence says that it is *lost*. One that is still listed as running but shows no life is
*unknown* too: the scheduler may give it up, or start it again.
"""

import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import Job
from deep_bottleneck.launching.cluster.grid_engine import GridEngine
from deep_bottleneck.launching.cluster.scheduler import Listing, Scheduler
from deep_bottleneck.launching.cluster.slurm import Slurm
from deep_bottleneck.launching.submission import Report, Submission, submissions
from deep_bottleneck.machine.processes import is_alive

logger = logging.getLogger(__name__)

SILENT_AFTER_SECONDS = 300
PROCESS_ENDED = "its process has ended"
ENDED_STATES = {"COMPLETED": "completed", "FAILED": "failed", "TIMEOUT": "timeout"}
SETTLED = ("completed", "running", "queued")
ACTIVE = ("queued", "running", "unknown")
SHOWN_LENGTH = 100
SHOWN_TASKS = 20

SCHEDULERS: Mapping[str, type[Scheduler]] = {
    "launchers.sge": GridEngine,
    "launchers.slurm": Slurm,
}


@dataclass(frozen=True)
class TaskState:
    """How a task is doing.

    Attributes:
        number: its number in the launch.
        job: its experiment.
        state: queued, running, completed, failed, timeout, interrupted, lost, unknown, cancelled or
            resubmitted (in a later launch).
        experiment_id: the id of its record, "" before it has one.
        detail: how far it is, or what went wrong.
        is_listed: whether a scheduler has it in its list.
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
        SchedulerError: if a scheduler that has tasks of ours does not answer.
    """
    listings: dict[str, Listing | None] = {}
    kept = list(submissions(output))
    last = {key(job): submission.folder for submission in kept for job in submission.tasks}
    for submission in kept:
        found = _states(submission, listings)
        yield (
            submission,
            [
                replace(task, state="resubmitted")
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
        if task.state not in {"queued", "completed", "resubmitted"} or task.detail
    ]
    if not telling:
        return f"{title}: {summary}"
    rows = [
        (task.number, task.job.name, task.experiment_id or "-", task.state, task.detail)
        for task in sorted(telling, key=lambda task: task.state == "queued")[:SHOWN_TASKS]
    ]
    frame = pd.DataFrame(rows, columns=["task", "experiment", "id", "state", "detail"])
    left = len(telling) - len(rows)
    more = f"\n... and {left} more" if left else ""
    return f"{title}: {summary}\n{frame.to_string(index=False)}{more}"


def cancel(output: Path) -> list[Submission]:
    """End all tasks that a scheduler has in its list.

    Returns:
        The launches that had any.

    Raises:
        SchedulerError: if a scheduler refuses.
        ConfigError: if its commands are not on this machine.
    """
    ended = []
    for submission, tasks in states(output):
        scheduler = SCHEDULERS.get(submission.launcher)
        if scheduler and any(task.is_listed for task in tasks):
            scheduler().cancel(submission.job)
            replace(submission, cancelled=True).write()
            ended.append(submission)
    return ended


def active_jobs(output: Path) -> set[tuple[Path, tuple[str, ...]]]:
    """The experiments that wait or run, or may do so for all that is known, by config and updates.

    Raises:
        SchedulerError: if a scheduler that has tasks of ours does not answer.
    """
    return {key(task.job) for _, tasks in states(output) for task in tasks if task.state in ACTIVE}


def key(job: Job) -> tuple[Path, tuple[str, ...]]:
    """What tells an experiment from others: its config and updates."""
    return job.config.resolve(), job.updates


def _states(submission: Submission, listings: dict[str, Listing | None]) -> list[TaskState]:
    """The state of each task; a scheduler is asked for its list only once, and only if need be."""
    reports = {n: submission.report(n) for n in range(1, len(submission.tasks) + 1)}
    open_tasks = [n for n, told in reports.items() if told is None or told.status != "COMPLETED"]
    listing: Listing | None = {}
    ended: dict[int, str] = {}
    scheduler_type = SCHEDULERS.get(submission.launcher)
    if open_tasks and scheduler_type and submission.job:
        scheduler = scheduler_type()
        if submission.launcher not in listings:
            listings[submission.launcher] = _listed(scheduler)
        listing = listings[submission.launcher]
        if listing is not None and any(
            (submission.job, n) not in listing and _is_open(reports[n]) for n in open_tasks
        ):
            ended = scheduler.ended(submission.job)
    elif submission.launcher not in SCHEDULERS and not _goes_on(submission, reports):
        silent = [n for n in open_tasks if not _is_heard(reports[n])]
        ended = dict.fromkeys(silent, "the launch has ended")
    return [
        _state(submission, number, report, listing or {}, ended)
        for number, report in reports.items()
    ]


def _state(
    submission: Submission,
    number: int,
    report: Report | None,
    listing: Listing,
    ended: Mapping[int, str],
) -> TaskState:
    task = TaskState(number, submission.tasks[number - 1], "unknown", report.id if report else "")
    if report and report.status in {"COMPLETED", "FAILED"}:
        detail = report.error or "" if report.status == "FAILED" else ""
        if detail.startswith("SystemExit"):
            detail = _last_line(submission.log_path(number))
        return replace(task, state=ENDED_STATES[report.status], detail=detail[:SHOWN_LENGTH])
    listed = listing.get((submission.job, number))
    if listed:
        task = replace(task, is_listed=True)
        doubt = _doubt(report) if listed.state == "running" else ""
        if doubt:
            return replace(task, detail=doubt)
        detail = listed.remark or (_progress(report) if listed.state == "running" else "")
        return replace(task, state=listed.state, detail=detail)
    if submission.cancelled:
        return replace(task, state="cancelled", detail=_progress(report))
    if report and report.status != "RUNNING":
        state = ENDED_STATES.get(report.status, report.status.lower())
        return replace(task, state=state, detail=_progress(report))
    if number in ended or (report and report.is_lost):
        said = [ended.get(number, PROCESS_ENDED), _last_line(submission.log_path(number))]
        detail = "; ".join(filter(None, said))[:SHOWN_LENGTH]
        return replace(task, state="lost", detail=detail)
    if submission.launcher not in SCHEDULERS:
        return replace(task, state="running" if report else "queued", detail=_progress(report))
    silence = _silence_of(report) if report else _silence(submission.folder.stat().st_mtime)
    return replace(task, state="lost", detail=silence) if silence else task


def _doubt(report: Report | None) -> str:
    """Why a task that is listed as running may not run, "" where nothing says so."""
    if report is None or report.status != "RUNNING":
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


def _listed(scheduler: Scheduler) -> Listing | None:
    """What a scheduler lists, None on a machine without its commands."""
    try:
        return scheduler.listed()
    except ConfigError as error:
        logger.warning("What %s has of the launches is unknown here: %s", scheduler.name, error)
        return None


def _goes_on(submission: Submission, reports: Mapping[int, Report | None]) -> bool:
    """Whether a local launch goes on: its process tells, or else signs of life."""
    alive = is_alive(submission.process)
    if alive is None:
        is_young = not _silence(submission.folder.stat().st_mtime)
        return is_young or any(map(_is_heard, reports.values()))
    return alive


def _is_heard(report: Report | None) -> bool:
    """Whether an experiment runs, as far as it tells."""
    return report is not None and report.status == "RUNNING" and not _doubt(report)


def _is_open(report: Report | None) -> bool:
    return report is None or report.status == "RUNNING"


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
