"""Grid Engine: qsub, qstat, qacct, qdel."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

from deep_bottleneck.errors import SchedulerError
from deep_bottleneck.interfaces import Listed, Listing, State
from deep_bottleneck.launching.cluster.scheduler import (
    ArrayJob,
    called,
    called_or_nothing,
    in_one_line,
)


class GridEngine:
    """Submits array jobs with qsub."""

    name = "Grid Engine"
    template = "sweep.sge"
    default_profile = "sge"

    def directives(self, job: ArrayJob) -> list[str]:
        """The lines that begin with #$.

        A soft limit sends SIGUSR1 ahead of the hard one, and -notify SIGUSR2 ahead of a qdel.

        Raises:
            ConfigError: if a name or path cannot be told.
        """
        profile = job.profile
        options = [
            ["-N", job.name],
            ["-t", f"1-{job.n_tasks}"],
            ["-o", f"{_log_folder(job)}/$TASK_ID.log", "-j", "y"],
            ["-cwd", "-notify"],
        ]
        if job.at_a_time:
            options.append(["-tc", str(job.at_a_time)])
        if profile.seconds:
            soft = max(1, profile.seconds - profile.notice)
            options.append(["-l", f"h_rt={profile.seconds},s_rt={soft}"])
        if profile.memory:
            options.append(["-l", f"{profile.memory_resource}={profile.memory}"])
        if profile.gpus:
            options.append(["-l", f"{profile.gpu_resource}={profile.gpus}"])
        if profile.cpus > 1:
            options.append(["-pe", profile.parallel_environment, str(profile.cpus)])
        if profile.queue:
            options.append(["-q", profile.queue])
        if profile.account:
            options.append(["-P", profile.account])
        return [f"#$ {' '.join(map(_word, words))}" for words in options]

    def submit_command(self, arguments: Sequence[str], script: Path) -> list[str]:
        """Call qsub."""
        return ["qsub", "-terse", *arguments, str(script)]

    def job_number(self, printed: str) -> str:
        """Of an array qsub prints `6.1-2:1`."""
        return printed.strip().splitlines()[-1].partition(".")[0]

    def listed(self) -> Listing:
        """What qstat lists."""
        text = called(["qstat", "-xml"])
        try:
            jobs = list(ElementTree.fromstring(text).iter("job_list"))  # noqa: S314
        except ElementTree.ParseError as error:
            raise SchedulerError(f"qstat -xml printed what is no XML: {error}") from None
        return {
            (job.findtext("JB_job_number", ""), task): _listed(job)
            for job in jobs
            for task in _numbers(job.findtext("tasks") or "1")
        }

    def ended(self, job: str) -> dict[int, str]:
        """What qacct tells; its file comes into being when the first job of all has ended."""
        found = {}
        for entry in called_or_nothing(["qacct", "-j", job]).split("=" * 62):
            fields = dict(re.findall(r"^(\S+) +(.*?) *$", entry, flags=re.MULTILINE))
            if fields.get("taskid", "").isdigit():
                found[int(fields["taskid"])] = _said(fields["failed"], fields["exit_status"])
        return found

    def cancel(self, job: str) -> None:
        """Call qdel."""
        called(["qdel", job])


def _log_folder(job: ArrayJob) -> str:
    """Where logs go; qsub would take a part for a variable, a host or another path."""
    return in_one_line(str(job.log_folder), "$:,")


def _word(text: str) -> str:
    """One word of a directive: qsub knows quotes, which it takes out wherever they stand."""
    text = in_one_line(text, "\"'")
    return text if re.fullmatch(r"[\w./:=$,+@-]+", text) else f'"{text}"'


def _listed(job: ElementTree.Element) -> Listed:
    state = job.findtext("state", "")
    remark = f"Grid Engine: {state}" if set(state) & set("EshuSt") else ""
    return Listed(State.RUNNING if job.get("state") == "running" else State.QUEUED, remark)


def _said(failed: str, exit_status: str) -> str:
    """How a task ended, by the accounting's number with a reason, and its exit status."""
    if exit_status != "0":
        return f"exit status {exit_status}"
    number, _, reason = failed.partition(":")
    return "" if number.strip() == "0" else f"Grid Engine: failed {reason.strip() or number}"


def _numbers(text: str) -> Iterator[int]:
    """The task numbers in `3`, `1,2` or `3-9:2`."""
    for piece in text.split(","):
        first, last, step = re.fullmatch(r"(\d+)(?:-(\d+):(\d+))?", piece).groups()  # type: ignore[union-attr]
        yield from range(int(first), int(last or first) + 1, int(step or 1))
