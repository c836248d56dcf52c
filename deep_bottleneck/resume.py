"""What launches have left undone, to be launched again the way it was."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from deep_bottleneck.cluster import follow_up
from deep_bottleneck.cluster.submission import Submission
from deep_bottleneck.completed import CompletedExperiments
from deep_bottleneck.config import sweep
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import Job

UNDONE = ("failed", "timeout", "interrupted", "lost")


def unfinished(output: Path, root: Path) -> Iterator[tuple[Submission, list[Job]]]:
    """The launches that have experiments which ended before their end, and those experiments.

    What was cancelled, may still run, was launched again later or is stored as completed is not
    among them. One that left a checkpoint goes on from there.

    Args:
        output: the folder where launches are kept.
        root: the folder with the framework's script and package.

    Raises:
        SchedulerError: if a scheduler that has tasks of ours does not answer.
        ConfigError: if the config of an experiment is no more what it was.
    """
    records: dict[Path, CompletedExperiments] = {}
    for submission, tasks in follow_up.states(output):
        undone = [task.job for task in tasks if task.state in UNDONE]
        if undone and submission.runs not in records:
            records[submission.runs] = CompletedExperiments(submission.runs, root)
        jobs = [_to_do(job, records[submission.runs]) for job in undone]
        if any(jobs):
            yield submission, [job for job in jobs if job]


def _to_do(job: Job, stored: CompletedExperiments) -> Job | None:
    combination, *others = sweep.expand(job.config, job.updates)
    if others:
        raise ConfigError(f"{job.config} has become a sweep; launch it with -d {job.config}")
    values = combination.hyperparameters
    if stored.find(values) is not None:
        return None
    return replace(job, continues=stored.find_unfinished(values))
