"""What a scheduler of a cluster must be able to do, and how its commands are called."""

import logging
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deep_bottleneck.errors import ConfigError, SchedulerError
from deep_bottleneck.interfaces import Queue
from deep_bottleneck.launching.cluster.profile import Profile

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class ArrayJob:
    """An array job to submit, whose tasks are numbered from 1.

    Attributes:
        name: what the scheduler shows.
        n_tasks: how many tasks it has.
        at_a_time: how many of them may run at a time, None for as many as the scheduler likes.
        log_folder: where what a task prints goes, as `<number>.log`.
        profile: what a task needs.
    """

    name: str
    n_tasks: int
    at_a_time: int | None
    log_folder: Path
    profile: Profile


class Scheduler(Queue, Protocol):
    """Grid Engine, Slurm, ...

    Attributes:
        template: the file name of its job script.
        default_profile: the profile used where none is named.
    """

    template: str
    default_profile: str

    def directives(self, job: ArrayJob) -> list[str]:
        """The lines of the job script that tell the scheduler what the job is and needs."""
        ...

    def submit_command(self, arguments: Sequence[str], script: Path) -> list[str]:
        """The command that submits a script and prints the job's number."""
        ...

    def job_number(self, printed: str) -> str:
        """The job's number out of what the submit command printed."""
        ...


def in_one_line(value: str, impossible: str = "") -> str:
    """A value that a directive tells a scheduler; a directive ends with its line.

    Args:
        value: the value.
        impossible: further characters that the scheduler has no way to be told.

    Raises:
        ConfigError: if there is one of them, or a line break or another unprintable one.
    """
    wrong = next((one for one in value if not one.isprintable() or one in impossible), None)
    if wrong is not None:
        raise ConfigError(
            f"{value!r} has {wrong!r} in it, which no line of a job script can tell the "
            "scheduler; choose a name without it (DEEP_BOTTLENECK_OUTPUT names the output folder)"
        )
    return value


def called(command: Sequence[str]) -> str:
    """What a scheduler's command prints.

    Raises:
        ConfigError: if there is no such command on this machine.
        SchedulerError: if it fails or does not answer.
    """
    if shutil.which(command[0]) is None:
        raise ConfigError(
            f"{command[0]} is not on the PATH: this machine cannot submit to that scheduler; "
            "log in to one that can, or choose another --launcher"
        )
    try:
        result = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise SchedulerError(
            f"{command[0]} has not answered within {PATIENCE_SECONDS} seconds"
        ) from None
    if result.returncode:
        lines = (result.stderr or result.stdout).splitlines()
        said = " ".join(line.strip() for line in lines if line and line != "Exiting.")
        raise SchedulerError(f"{command[0]} failed with status {result.returncode}: {said}")
    if result.stderr.strip():
        logger.warning("%s: %s", command[0], result.stderr.strip())
    return result.stdout


def called_or_nothing(command: Sequence[str]) -> str:
    """What a command prints, "" where it fails: for accounting, which a site need not have."""
    try:
        return called(command)
    except (ConfigError, SchedulerError) as error:
        logger.debug("No accounting: %s", error)
        return ""
