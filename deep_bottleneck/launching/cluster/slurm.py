"""Slurm: sbatch, squeue, sacct, scancel."""

import re
from collections.abc import Sequence
from pathlib import Path

from deep_bottleneck.interfaces import Listed, Listing, State
from deep_bottleneck.launching.cluster.scheduler import (
    ArrayJob,
    called,
    called_or_nothing,
    in_one_line,
)

WAITING = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD")
USUAL_REASONS = ("None", "Priority", "Resources", "JobArrayTaskLimit", "Dependency")


class Slurm:
    """Submits array jobs with sbatch."""

    name = "Slurm"
    template = "sweep.slurm"
    default_profile = "slurm"

    def directives(self, job: ArrayJob) -> list[str]:
        """The lines that begin with #SBATCH; SIGUSR1 comes ahead of the time limit.

        Raises:
            ConfigError: if a name or path cannot be told.
        """
        profile = job.profile
        cap = f"%{job.at_a_time}" if job.at_a_time else ""
        options = [
            f"--job-name={job.name}",
            f"--array=1-{job.n_tasks}{cap}",
            f"--output={_log_folder(job)}/%a.log",
            "--open-mode=append",
            f"--cpus-per-task={profile.cpus}",
        ]
        if profile.time:
            options += [f"--time={profile.time}", f"--signal=B:USR1@{profile.notice}"]
        if profile.memory:
            options.append(f"--mem={profile.memory}")
        if profile.gpus:
            options.append(f"--gres={profile.gpu_resource}:{profile.gpus}")
        if profile.queue:
            options.append(f"--partition={profile.queue}")
        if profile.account:
            options.append(f"--account={profile.account}")
        return [f"#SBATCH {_word(option)}" for option in options]

    def submit_command(self, arguments: Sequence[str], script: Path) -> list[str]:
        """Call sbatch."""
        return ["sbatch", "--parsable", *arguments, str(script)]

    def job_number(self, printed: str) -> str:
        """Between clusters sbatch prints `6;cluster`."""
        return printed.strip().splitlines()[-1].partition(";")[0]

    def listed(self) -> Listing:
        """What squeue lists, a line for each task."""
        found = {}
        for line in called(["squeue", "-h", "-r", "-o", "%F|%K|%T|%r"]).splitlines():
            job, task, state, reason = line.split("|", 3)
            if task.isdigit():
                waits = state in WAITING
                remark = reason if waits and reason not in USUAL_REASONS else ""
                found[job, int(task)] = Listed(
                    State.QUEUED if waits else State.RUNNING, f"Slurm: {remark}" if remark else ""
                )
        return found

    def ended(self, job: str) -> dict[int, str]:
        """What sacct tells, or where there is no accounting, for some minutes, scontrol."""
        text = called_or_nothing(["sacct", "-n", "-P", "-X", "-j", job, "-o", "JobID,State"])
        pattern = r"^\d+_(\d+)\|(\w+)"
        if not text:
            text = called_or_nothing(["scontrol", "-o", "show", "job", job])
            pattern = r"ArrayTaskId=(\d+) .*?JobState=(\w+)"
        return {
            int(task): "" if state == "COMPLETED" else f"Slurm: {state}"
            for task, state in re.findall(pattern, text, flags=re.MULTILINE)
            if state not in {"RUNNING", "COMPLETING", *WAITING}
        }

    def cancel(self, job: str) -> None:
        """Call scancel."""
        called(["scancel", job])


def _log_folder(job: ArrayJob) -> str:
    """Where logs go, as a pattern; with a backslash in it sbatch would fill in no number."""
    return in_one_line(str(job.log_folder), "\\").replace("%", "%%")


def _word(option: str) -> str:
    """An option as one word: sbatch reads a directive as a shell reads a line."""
    return re.sub(r"([^\w./:=%+@,-])", r"\\\1", in_one_line(option))
