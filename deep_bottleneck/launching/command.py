"""The command line: which experiments to launch, resume, follow or measure again, and its answer.

The script `run_experiments.py` is its door.
"""

import argparse
import logging
import os
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from deep_bottleneck.config import Config
from deep_bottleneck.errors import EXIT_MISTAKE, ConfigError, RecordError, SchedulerError, exit_on
from deep_bottleneck.interfaces import LaunchOptions, Outcome, Status
from deep_bottleneck.launching import follow_up, home
from deep_bottleneck.launching.completed import unfinished
from deep_bottleneck.launching.home import EXPERIMENT_SCRIPT
from deep_bottleneck.launching.plan import LaunchPlan
from deep_bottleneck.launching.plug_in import LauncherPlugIn
from deep_bottleneck.machine.environment import output_folder, runs_folder

logger = logging.getLogger("deep_bottleneck")


class Command(argparse.Namespace):
    """What a command line says; each attribute is an option of `parser`.

    `config` is what `deep-bottleneck run` names instead of `configs`: a path, or a config's name.
    """

    config: str | None
    configs: Path | None
    updates: Sequence[str]
    only: Sequence[str]
    resume: bool
    dry_run: bool
    status: bool
    cancel: bool
    reestimate: str | None
    estimator: Sequence[str]
    launcher: str | None
    jobs: int | None
    profile: str | None
    resource: Sequence[str]
    submit_args: str
    snapshot: bool

    @classmethod
    def read(cls, parser: argparse.ArgumentParser, words: Sequence[str]) -> "Command":
        """What these words say; a parser that lacks some of the options says nothing of them.

        Raises:
            ConfigError: if there is an option that the parser does not know.
        """
        command, unknown = parser.parse_known_intermixed_args(words, cls())
        if unknown:
            raise ConfigError(_not_understood(unknown[0], words))
        several: dict[str, Sequence[str]] = dict.fromkeys(
            ("updates", "only", "estimator", "resource"), ()
        )
        nothing = {**dict.fromkeys(cls.__annotations__), **several, "submit_args": ""}
        for name, value in nothing.items():
            setattr(command, name, getattr(command, name, value))
        return command


def run(arguments: Sequence[str] | None, root: Path) -> int:
    """Launch experiments and show how each of them ended, or what else a command line says.

    Args:
        arguments: the words of the command line, None for those of this process.
        root: the folder with the framework's script and package.

    Returns:
        The exit status: 0 if all went well, 1 if an experiment did not, 2 for a mistake in the
        command or in the config of an experiment.
    """
    return carried_out(parser(), arguments, root)


def carried_out(
    parser: argparse.ArgumentParser, arguments: Sequence[str] | None, root: Path
) -> int:
    """Do what a command line says, as a parser reads it; the exit status is as for `run`."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s - %(name)s - %(message)s")
    with exit_on(ConfigError, RecordError, SchedulerError):
        command = Command.read(parser, sys.argv[1:] if arguments is None else arguments)
        if command.reestimate:
            return _reestimate(command.reestimate, command.estimator)
        if command.status:
            return _status()
        if command.cancel:
            return _cancel()
        configs = home.config(command.config) if command.config else command.configs
        if configs:
            return _launch(command, configs, root)
        if command.resume:
            return _resume(command, root)
        raise ConfigError(_say_what_to_do(command.updates))


def _not_understood(option: str, words: Sequence[str]) -> str:
    """What to write instead of an option that there is not."""
    name, _, value = option.lstrip("-").partition("=")
    key = name.replace("-", "_")
    if key in Config.model_fields:
        behind = words[words.index(option) + 1 :] if option in words else ()
        return f"there is no option {option}: write {key}={value or ''.join(behind[:1]) or 'VALUE'}"
    return f"there is no option {option}; --help lists them"


def _say_what_to_do(words: Sequence[str]) -> str:
    paths = [word for word in words if "=" not in word and Path(word).exists()]
    if paths:
        return f"to run {paths[0]}, write -d {paths[0]}"
    return "say what to do: -d PATH, --resume, --status, --cancel, --reestimate ID"


def _launch(command: Command, configs: Path, root: Path) -> int:
    """Launch what a path describes, or only say what would be launched."""
    runs, output = runs_folder(os.environ), output_folder(os.environ)
    name = re.sub(r"[^\w.-]+", "-", configs.resolve().stem)
    options = LaunchOptions(root / EXPERIMENT_SCRIPT, name, output, runs)
    plug_in = LauncherPlugIn.find(command.launcher or "local")
    launcher = plug_in.load(_said(command, options))
    # what is not waited for is checked as a whole before any of it is launched
    thorough = not plug_in.waits
    plan = LaunchPlan.make(
        configs,
        command.updates,
        command.only,
        command.dry_run or thorough,
        runs if plug_in.waits else None,
    )
    if command.resume:
        plan = plan.without_completed(runs, root)
    if command.dry_run:
        planned = replace(plan, thorough=thorough)
        preview = "" if plan.has_mistakes else launcher.preview(planned.jobs(runs, write=False))
        sys.stdout.write("\n\n".join(filter(None, [plan.table(), preview])) + "\n")
        return EXIT_MISTAKE if plan.has_mistakes else 0
    jobs = plan.jobs(runs)
    done = len(plan.experiments) - len(jobs)
    if done:
        logger.info("%d of %d experiments are stored as completed.", done, len(plan.experiments))
    if command.resume:
        active = follow_up.active_jobs(output)
        waiting = [job for job in jobs if follow_up.key(job) not in active]
        if len(waiting) < len(jobs):
            logger.info("%d experiments wait or run already.", len(jobs) - len(waiting))
        jobs = waiting
    return _shown(launcher.launch(jobs))


def _resume(command: Command, root: Path) -> int:
    """Launch what all launches have left undone, the way it was launched."""
    if command.updates or command.only:
        raise ConfigError("--resume without -d launches what was launched: KEY=VALUE needs -d")
    statuses = []
    for submission, jobs in list(unfinished(output_folder(os.environ), root)):
        plug_in = LauncherPlugIn.find(command.launcher or submission.launcher)
        again = submission.options(root / EXPERIMENT_SCRIPT)
        if not plug_in.is_called(submission.launcher):
            # resources are of one scheduler
            again = LaunchOptions(again.experiment_script, again.name, again.output, again.runs)
        launcher = plug_in.load(_said(command, again))
        if command.dry_run:
            names = "\n".join(job.name for job in jobs)
            preview = launcher.preview(jobs)
            sys.stdout.write("\n\n".join(filter(None, [names, preview])) + "\n\n")
        else:
            statuses.append(_shown(launcher.launch(jobs)))
    if not statuses and not command.dry_run:
        logger.info("No launch has left anything undone.")
    return max(statuses, default=0)


def _shown(outcomes: Sequence[Outcome]) -> int:
    """Show how experiments ended, and return the exit status."""
    if outcomes:
        sys.stdout.write("\n" + outcome_table(outcomes) + "\n")
    statuses = {outcome.status for outcome in outcomes}
    if Status.INVALID in statuses:
        return EXIT_MISTAKE
    return int(bool(statuses - {Status.COMPLETED}))


def outcome_table(outcomes: Sequence[Outcome]) -> str:
    """How each experiment ended, as text."""
    rows = [(o.job.name, o.experiment_id or "-", o.status, f"{o.seconds:.0f} s") for o in outcomes]
    return pd.DataFrame(rows, columns=["config", "id", "status", "time"]).to_string(index=False)


def _said(command: Command, options: LaunchOptions) -> LaunchOptions:
    """These options with what the command says of them."""
    return replace(
        options,
        at_a_time=command.jobs or options.at_a_time,
        profile=command.profile or options.profile,
        resources=(*options.resources, *command.resource),
        submit_args=(*options.submit_args, *_words(command.submit_args)),
        snapshot=command.snapshot or options.snapshot,
    )


def _words(submit_args: str) -> list[str]:
    try:
        return shlex.split(submit_args)
    except ValueError as error:
        raise ConfigError(
            f"--submit-args={submit_args} cannot be read as a shell does: {error}"
        ) from None


def _status() -> int:
    """Show how every launch is doing."""
    found = [follow_up.table(*one) for one in follow_up.states(output_folder(os.environ))]
    sys.stdout.write("\n\n".join(found or ["nothing was launched"]) + "\n")
    return 0


def _cancel() -> int:
    """End what waits or runs on a cluster."""
    for submission in follow_up.cancel(output_folder(os.environ)):
        logger.info("Cancelled %s (job %s)", submission.folder.name, submission.job)
    return 0


def _reestimate(experiment_id: str, estimators: Sequence[str]) -> int:
    """Measure a stored experiment with more estimators."""
    # only here: torch takes seconds to import
    from deep_bottleneck.pipeline.reestimation import reestimate

    if not estimators:
        raise ConfigError("--reestimate needs an estimator: --estimator PATH or PATH=RANGE")
    folder = runs_folder(os.environ) / experiment_id
    added = reestimate(folder, list(map(_estimator, estimators)))
    logger.info("Added to %s: %s", folder, ", ".join(added))
    return 0


def _estimator(text: str) -> str | list[str | float]:
    """An estimator of the command line as a config has it."""
    path, equals, parameter = text.partition("=")
    if not equals:
        return path
    try:
        return [path, float(parameter)]
    except ValueError:
        raise ConfigError(f"--estimator {text}: {parameter!r} is no number") from None


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(
        description="Run one experiment or many: a config file, a sweep, or a folder of them."
    )
    _add_what_to_do(parser)
    add_updates(parser)
    add_launching(parser)
    parser.add_argument(
        "-l",
        "--local_execution",
        dest="launcher",
        type=_local,
        metavar="True",
        help="the same as --launcher local",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="leave out experiments that are stored as completed, with the same config and code; "
        "without -d: launch what all launches have left undone",
    )
    return parser


def add_updates(parser: argparse.ArgumentParser) -> None:
    """Let a command line change hyperparameters, and choose by them."""
    parser.add_argument(
        "updates", nargs="*", metavar="KEY=VALUE", help="hyperparameters to change in each config"
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="leave out experiments with another value of this hyperparameter; may be repeated",
    )


def add_launching(parser: argparse.ArgumentParser) -> None:
    """Let a command line say where experiments are launched."""
    parser.add_argument(
        "--launcher",
        metavar="NAME",
        help="local, sge or slurm, or the import path of a launcher (default: local)",
    )
    parser.add_argument(
        "--jobs",
        type=_positive,
        metavar="N",
        help="how many experiments may run at a time (default: 1 here, no limit on a cluster)",
    )
    _add_cluster(parser)
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="only list the experiments, check their configs, and show what would be submitted",
    )


def _add_what_to_do(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "-d",
        "-c",
        "--configs",
        "--configpath",
        type=Path,
        metavar="PATH",
        help="a JSON config or sweep, or a folder that is walked for them in a stable order",
    )
    what.add_argument(
        "--reestimate",
        metavar="ID",
        help="measure a stored experiment that kept its activations with other estimators",
    )
    what.add_argument("--status", action="store_true", help="show how all launches are doing")
    what.add_argument(
        "--cancel", action="store_true", help="end all that waits or runs on a cluster"
    )
    add_estimator(parser)


def add_estimator(parser: argparse.ArgumentParser) -> None:
    """Let a command line name estimators."""
    parser.add_argument(
        "--estimator",
        action="append",
        default=[],
        metavar="PATH[=RANGE]",
        help="estimator to measure again with, with its discretization_range; may be repeated",
    )


def _add_cluster(parser: argparse.ArgumentParser) -> None:
    cluster = parser.add_argument_group("on a cluster")
    cluster.add_argument(
        "--profile",
        metavar="NAME",
        help="resources: a file in infrastructure/grid/profiles, or the path of one",
    )
    cluster.add_argument(
        "--resource",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a key of the profile, such as time=01:30:00; may be repeated",
    )
    cluster.add_argument(
        "--submit-args",
        default="",
        metavar="TEXT",
        help='further arguments of qsub or sbatch, such as --submit-args="-l h_vmem=8G"',
    )
    cluster.add_argument(
        "--snapshot", action="store_true", help="run a copy of the code as it is now"
    )


def _local(text: str) -> str:
    """The launcher that a word of earlier years means."""
    if text != "True":
        raise argparse.ArgumentTypeError("should be True; --launcher sge submits to a cluster")
    return "local"


def _positive(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"should be a whole number from 1, not {text!r}")
    return int(text)
