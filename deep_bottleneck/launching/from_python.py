"""Runs one experiment for a program or a notebook, which gets what it has stored."""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from deep_bottleneck.errors import EXIT_MISTAKE, ConfigError, DeepBottleneckError
from deep_bottleneck.eval_tools import Experiment, ExperimentLoader
from deep_bottleneck.interfaces import Job, LaunchOptions, Status
from deep_bottleneck.launching import home
from deep_bottleneck.launching.plan import LaunchPlan
from deep_bottleneck.launching.submission import Submission
from deep_bottleneck.machine.environment import output_folder, runs_folder

SECONDS_BETWEEN_LOOKS = 0.2


def run(config: Mapping[str, Any] | str | Path, **updates: Any) -> Experiment:
    """Run one experiment in a process of its own, show how far it is, and return what it stored.

    It is stored as one that a command has launched. Ctrl-C ends it, and keeps what it has recorded.

    Args:
        config: hyperparameters by name, a JSON file, or the name of a config that comes along.
        **updates: hyperparameters to change in it.

    Raises:
        ConfigError: if there is no such config, it is a sweep, or has a mistake.
        DeepBottleneckError: if the experiment does not complete; it says why, and where its log is.
    """
    runs = runs_folder(os.environ)
    with _file_of(config) as path:
        job = _only_job(path, updates, runs)
    options = LaunchOptions(
        home.home() / home.EXPERIMENT_SCRIPT, job.config.stem, output_folder(os.environ), runs
    )
    submission = Submission.here(options, [job])
    exit_status = _waited_for(submission)
    report = submission.report(1)
    if report is None or report.status != Status.COMPLETED:
        raise _why_not(submission, exit_status)
    return ExperimentLoader(path=runs).find_by_id(report.id)


@contextmanager
def _file_of(config: Mapping[str, Any] | str | Path) -> Iterator[Path]:
    """A config as a file, which is there while the context lasts."""
    if not isinstance(config, Mapping):
        yield home.config(str(config))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        try:
            path.write_text(json.dumps(dict(config)), encoding="utf-8")
        except (TypeError, ValueError) as error:
            raise ConfigError(f"the config has a value that JSON cannot hold: {error}") from None
        yield path


def _only_job(path: Path, updates: Mapping[str, Any], runs: Path) -> Job:
    try:
        words = [f"{name}={json.dumps(value)}" for name, value in updates.items()]
    except (TypeError, ValueError) as error:
        raise ConfigError(f"a hyperparameter cannot be that: {error}") from None
    plan = LaunchPlan.make(path, words)
    if len(plan.experiments) > 1:
        raise ConfigError(
            f"the config is a sweep of {len(plan.experiments)} experiments, and one is run here; "
            "the command `deep-bottleneck run FILE` runs them all"
        )
    # a file that says all of it, so that the experiment can be resumed
    (job,) = replace(plan, thorough=True).jobs(runs)
    return job


def _waited_for(submission: Submission) -> int:
    """Start the experiment, show how far it is until it has ended, and return its exit status."""
    command = submission.command(1)
    with (
        submission.log_path(1).open("w", encoding="utf-8") as log,
        subprocess.Popen(  # noqa: S603
            command, env=submission.environment(1, os.environ), stdout=log, stderr=log
        ) as process,
        tqdm(desc=submission.tasks[0].config.stem, unit="epoch") as bar,
    ):
        while process.poll() is None:
            time.sleep(SECONDS_BETWEEN_LOOKS)
            report = submission.report(1)
            if report is not None and report.epoch is not None:
                bar.total = report.epochs
                bar.update(report.epoch + 1 - bar.n)
        return process.returncode


def _why_not(submission: Submission, exit_status: int) -> DeepBottleneckError:
    log = submission.log_path(1)
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    sentences = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    if exit_status == EXIT_MISTAKE and sentences:
        return ConfigError(sentences[-1])
    report = submission.report(1)
    status = Status.FAILED if report is None else report.status
    said = sentences[-1] if sentences else report.error if report is not None else ""
    name = submission.tasks[0].config.stem
    return DeepBottleneckError(f"{name}: {status}: {said or 'it ended early'}; its log is {log}")
