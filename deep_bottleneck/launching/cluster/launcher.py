"""A launcher that submits experiments to a scheduler, as one array job."""

import logging
import os
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from deep_bottleneck.errors import ConfigError, SchedulerError
from deep_bottleneck.interfaces import Job, LaunchOptions, Outcome
from deep_bottleneck.launching.cluster.profile import Profile, load_profile
from deep_bottleneck.launching.cluster.scheduler import ArrayJob, Scheduler, called
from deep_bottleneck.launching.cluster.script import fill_in, set_up
from deep_bottleneck.launching.code import CodeState, copy_code
from deep_bottleneck.launching.submission import Submission, check_configs

logger = logging.getLogger(__name__)

OWN_VARIABLES = "DEEP_BOTTLENECK_"


class ClusterLauncher:
    """Submits all experiments together and does not wait for them."""

    def __init__(self, scheduler: Scheduler, path: str, options: LaunchOptions) -> None:
        """Prepare to submit.

        Args:
            scheduler: where to.
            path: the import path of the launcher.
            options: what the command says.

        Raises:
            ConfigError: if the profile is wrong.
        """
        self._scheduler = scheduler
        self._path = path
        self._options = options
        self._grid = options.experiment_script.resolve().parent / "infrastructure" / "grid"
        profile = options.profile or scheduler.default_profile
        self._profile = load_profile(self._grid / "profiles", profile, options.resources)

    def preview(self, jobs: Sequence[Job]) -> str:
        """The script and the command that would submit it.

        Raises:
            ConfigError: if an experiment cannot be given its config.
        """
        if not jobs:
            return ""
        check_configs(jobs)
        folder = self._options.output.resolve() / f"{self._options.name}_DATE"
        runs, script = self._options.runs.resolve(), self._options.experiment_script.resolve()
        planned = Submission(folder, self._path, tuple(jobs), runs, script)
        return f"{self._script(planned)}\n{shlex.join(self._command(planned))}"

    def launch(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Submit all jobs; either all of them are submitted or none is.

        Raises:
            ConfigError: if the output folder cannot be written, an experiment cannot be given its
                config, there is no submit command here, or the scheduler refuses.
        """
        if not jobs:
            return []
        submission = Submission.create(self._options, self._path, jobs)
        try:
            submission = self._prepared(submission)
            number = self._scheduler.job_number(called(self._command(submission)))
        except (ConfigError, OSError, KeyboardInterrupt):
            submission.remove()
            raise
        except SchedulerError as error:
            submission.remove()
            raise ConfigError(f"{self._scheduler.name} took nothing: {error}") from None
        replace(submission, job=number).write()
        logger.info(
            "Submitted %d experiments to %s as job %s; logs and reports are in %s",
            len(jobs),
            self._scheduler.name,
            number,
            submission.folder,
        )
        return []

    def _prepared(self, submission: Submission) -> Submission:
        """The launch with everything in its folder that its tasks need."""
        state = CodeState.of(submission.script.parent)
        (submission.folder / "changes.diff").write_text(state.diff, encoding="utf-8")
        submission = replace(submission, commit=state.commit, changed=bool(state.diff))
        if self._options.snapshot:
            submission = replace(submission, script=copy_code(submission))
        # a path need not be text in any encoding
        script = self._script(submission).encode("utf-8", "surrogateescape")
        self._script_path(submission).write_bytes(script)
        submission.write()
        return submission

    def _script_path(self, submission: Submission) -> Path:
        return submission.folder / self._scheduler.template

    def _command(self, submission: Submission) -> list[str]:
        arguments = [*self._profile.submit_args, *self._options.submit_args]
        return self._scheduler.submit_command(arguments, self._script_path(submission))

    def _script(self, submission: Submission) -> str:
        job = ArrayJob(
            # Grid Engine takes no name that begins with a digit
            re.sub(r"[^\w.-]+", "-", re.sub(r"^(?=\d)", "x", self._options.name)),
            len(submission.tasks),
            self._options.at_a_time,
            submission.folder / "logs",
            self._profile,
        )
        values = {
            "directives": "\n".join(self._scheduler.directives(job)),
            "set_up": set_up(self._profile, _variables(submission)),
            "python": _python(self._profile),
            "folder": shlex.quote(str(submission.folder)),
        }
        return fill_in(self._grid / self._scheduler.template, values)


def _python(profile: Profile) -> str:
    return "python" if profile.conda or profile.venv else shlex.quote(sys.executable)


def _variables(submission: Submission) -> dict[str, str]:
    """What a task needs of the environment: where the code is, and our own settings."""
    own = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(OWN_VARIABLES) and name.isidentifier()
    }
    paths = [str(submission.script.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths), **own}
