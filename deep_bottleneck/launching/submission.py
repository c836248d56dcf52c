"""A launch of experiments, kept in a folder that its tasks and a later `--status` read.

What `output/cohort_05_20260131-101500` holds:

- `submission.json`: where it went, its tasks, the code they run;
- `changes.diff`: what the code differs from its commit in;
- `sweep.sge` or `sweep.slurm`: the script that was submitted to a scheduler;
- `code`: the code itself, with `--snapshot`;
- `logs/<n>.log`: what task n printed;
- `reports/<n>.json`: how task n is doing.
"""

import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from deep_bottleneck.errors import ConfigError, RecordError
from deep_bottleneck.interfaces import Job, LaunchOptions, Status
from deep_bottleneck.machine.environment import CONTINUE_VARIABLE, REPORT_VARIABLE, RUNS_VARIABLE
from deep_bottleneck.machine.processes import is_alive, this_process
from deep_bottleneck.machine.whole_file import write_whole
from deep_bottleneck.storage.base import read_to_the_end
from deep_bottleneck.storage.folder_store import CONFIG_FILE
from deep_bottleneck.storage.names import left_unfinished
from deep_bottleneck.storage.own_files import read_json

FILE = "submission.json"
# the launcher of experiments that run on this machine
LOCAL = "launchers.local"
ASKED = ("name", "at_a_time", "profile", "resources", "submit_args", "snapshot")


@dataclass(frozen=True)
class Report:
    """What a task's experiment has told of itself.

    Attributes:
        id: the experiment's id.
        status: how it is doing, one of `Status` or another word of Sacred's.
        epoch: the last epoch that every run has trained, None before the first.
        epochs: how many there are to train.
        error: the last line of the error it failed with.
        process: the name of its process, "" if it told none.
        modified: when it said so, in seconds since 1970.
    """

    id: str
    status: str
    epoch: int | None = None
    epochs: int | None = None
    error: str = ""
    process: str = ""
    modified: float = 0.0

    @property
    def is_lost(self) -> bool:
        """Whether it should be running, but its process was on this machine and has ended."""
        return self.status == Status.RUNNING and is_alive(self.process) is False


@dataclass(frozen=True)
class Submission:
    """A launch.

    Attributes:
        folder: where it is kept, an absolute path.
        launcher: the import path of the launcher.
        tasks: its experiments; the number of a task is its place among them, from 1.
        runs: the folder of the local record, an absolute path.
        script: the script that runs one experiment, an absolute path.
        commit: the commit of its code, "" where it is in no repository.
        changed: whether the code differs from the commit.
        submitted: when, in local time; later than of any launch before, whatever the clock says.
        job: the scheduler's number for it, or host and process for a local launch, as people read
            it; "" before it has one.
        process: the name of the process that launched it, "" where that cannot be named.
        cancelled: whether it was cancelled.
        asked: those of the launch's options that the command named.
    """

    folder: Path
    launcher: str
    tasks: tuple[Job, ...]
    runs: Path
    script: Path
    commit: str = ""
    changed: bool = False
    submitted: str = "1970-01-01"
    job: str = ""
    process: str = ""
    cancelled: bool = False
    asked: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def create(cls, options: LaunchOptions, launcher: str, jobs: Sequence[Job]) -> "Submission":
        """Make the folder of a new launch.

        Raises:
            ConfigError: if the folder cannot be written, or a task cannot be given its config.
        """
        check_configs(jobs)
        now = datetime.now()
        try:
            folder = _new_folder(options.output.resolve(), f"{options.name}_{now:%Y%m%d-%H%M%S}")
            (folder / "logs").mkdir()
            (folder / "reports").mkdir()
        except OSError as error:
            raise ConfigError(
                f"the output folder {options.output.resolve()} cannot be written: "
                f"{error.strerror}; name another one in DEEP_BOTTLENECK_OUTPUT"
            ) from None
        return cls(
            folder,
            launcher,
            tuple(replace(job, config=job.config.resolve()) for job in jobs),
            options.runs.resolve(),
            options.experiment_script.resolve(),
            submitted=_after_all(options.output, now),
            process=this_process(),
            asked={name: getattr(options, name) for name in ASKED},
        )

    @classmethod
    def here(cls, options: LaunchOptions, jobs: Sequence[Job]) -> "Submission":
        """Keep a new launch of experiments that this process starts and waits for.

        Raises:
            ConfigError: as of `create`.
        """
        created = cls.create(options, LOCAL, jobs)
        submission = replace(created, job=f"{os.uname().nodename}:{os.getpid()}")
        submission.write()
        return submission

    @classmethod
    def read(cls, folder: Path) -> "Submission":
        """Read what was kept.

        Raises:
            RecordError: if there is no launch in the folder, or it cannot be read.
        """
        path = folder / FILE
        try:
            values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            tasks = tuple(map(_task, values.pop("tasks")))
            runs, script = Path(values.pop("runs")), Path(values.pop("script"))
            asked = {
                name: tuple(value) if isinstance(value, list) else value
                for name, value in values.pop("asked", {}).items()
            }
            folder = folder.resolve()
            datetime.fromisoformat(values["submitted"])
            return cls(folder, tasks=tasks, runs=runs, script=script, asked=asked, **values)
        except (AttributeError, KeyError, OSError, RecursionError, TypeError, ValueError) as error:
            raise RecordError(f"{path} is no launch that can be read: {error}") from None

    def write(self) -> None:
        """Keep it, so that no half-written file is ever seen."""
        values = asdict(self)
        del values["folder"]
        write_whole(self.folder / FILE, json.dumps(values, indent=1, default=str))

    def remove(self) -> None:
        """Forget a launch that did not come about."""
        shutil.rmtree(self.folder)

    def options(self, script: Path) -> LaunchOptions:
        """What a launcher needs to launch some of it again as it was, with this script."""
        asked = {"name": self.folder.name, **self.asked}
        return LaunchOptions(script, output=self.folder.parent, runs=self.runs, **asked)

    def report_path(self, number: int) -> Path:
        """Where the experiment of a task tells how it is doing."""
        return self.folder / "reports" / f"{number}.json"

    def log_path(self, number: int) -> Path:
        """Where what a task prints goes."""
        return self.folder / "logs" / f"{number}.log"

    def report(self, number: int) -> Report | None:
        """What the experiment of a task has told, None if nothing yet."""
        return read_to_the_end(self._told, [number], lambda told: told.is_lost).get(number)

    def _told(self, numbers: Iterable[int]) -> dict[int, Report]:
        found = {}
        for number in numbers:
            path = self.report_path(number)
            with suppress(OSError, ValueError, TypeError):
                told = json.loads(path.read_text(encoding="utf-8"))
                found[number] = Report(**told, modified=path.stat().st_mtime)
        return found

    def command(self, number: int) -> list[str]:
        """How a task's experiment is run, in the current folder.

        Raises:
            ConfigError: if it cannot be given its config.
            RecordError: if it goes on from an experiment that is not there or cannot be read.
        """
        job = self.tasks[number - 1]
        command = [sys.executable, str(self.script), f"--name={job.config.stem}", "with"]
        return [*command, _argument(job.config), *job.updates, *self._seed_to_keep(number)]

    def environment(self, number: int, environment: Mapping[str, str]) -> dict[str, str]:
        """The environment a task's experiment is run in."""
        before = self._unfinished(number)
        others = {name: value for name, value in environment.items() if name != CONTINUE_VARIABLE}
        return {
            **others,
            REPORT_VARIABLE: str(self.report_path(number)),
            RUNS_VARIABLE: str(self.runs),
            **({CONTINUE_VARIABLE: str(before.resolve())} if before else {}),
        }

    def _unfinished(self, number: int) -> Path | None:
        """The record that a task goes on from: its own, where the scheduler starts it again."""
        own = self.report(number)
        if own is not None and left_unfinished(self.runs / own.id):
            return self.runs / own.id
        return self.tasks[number - 1].continues

    def _seed_to_keep(self, number: int) -> list[str]:
        before = self._unfinished(number)
        if before is None:
            return []
        return [f"seed={read_json(before / CONFIG_FILE)['seed']}"]


def check_configs(jobs: Sequence[Job]) -> None:
    """Make sure that experiments can be given their configs.

    Raises:
        ConfigError: if one cannot.
    """
    for job in jobs:
        _argument(job.config.resolve())


def submissions(output: Path) -> Iterator[Submission]:
    """All launches that are kept in a folder, the oldest first; what is none is left out."""
    found = []
    for path in output.glob(f"*/{FILE}"):
        try:
            found.append(Submission.read(path.parent))
        except RecordError:
            continue
    yield from sorted(found, key=lambda one: (one.submitted, one.folder.name))


def _after_all(output: Path, now: datetime) -> str:
    """The time of now, or one after the last launch where the clock has been set back."""
    times = [datetime.fromisoformat(one.submitted) for one in submissions(output)]
    last = max(times, default=now)
    return (now if last <= now else last + timedelta(seconds=1)).isoformat(timespec="seconds")


def _new_folder(output: Path, name: str) -> Path:
    output.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        folder = output / (name if number == 1 else f"{name}_{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
        else:
            return folder


def _task(values: Mapping[str, Any]) -> Job:
    continues = values["continues"]
    return Job(
        values["name"],
        Path(values["config"]),
        tuple(values["updates"]),
        Path(continues) if continues else None,
    )


def _argument(config: Path) -> str:
    """A config's path without "=", by which Sacred tells updates from files."""
    path = os.path.relpath(config) if "=" in str(config) else str(config)
    if "=" in path:
        raise ConfigError(
            f'{config} has a "=" in its path, so Sacred would take it for an update: rename the '
            "file or folder, or start from inside the folder"
        )
    return path
