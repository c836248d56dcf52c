"""Which experiments a command asks for, whether their configs are right, and what is left to do."""

import difflib
import json
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from deep_bottleneck.config import Config, sweep
from deep_bottleneck.config.sweep import Combination
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import Job
from deep_bottleneck.launching.completed import StoredExperiments
from deep_bottleneck.machine.backend import start_keras
from deep_bottleneck.storage.identity import digest_of

if TYPE_CHECKING:
    from deep_bottleneck.pipeline.plan import Plan

CONFIGS_FOLDER = "_configs"


@dataclass(frozen=True)
class PlannedExperiment:
    """An experiment that a command asks for.

    Attributes:
        combination: its name and hyperparameters.
        mistake: what is wrong with its config, "" if nothing.
        stored_as: the id under which it is stored as completed, None if it is still to run.
        continues: the record of an earlier attempt to go on from.
    """

    combination: Combination
    mistake: str = ""
    stored_as: str | None = None
    continues: Path | None = None

    @property
    def state(self) -> str:
        """What a table says about it."""
        if self.stored_as:
            return f"stored as {self.stored_as}"
        if self.continues:
            return f"goes on from {self.continues.name}"
        return "wrong, see below" if self.mistake else "ready"


@dataclass(frozen=True)
class LaunchPlan:
    """The experiments of a command, in order.

    Attributes:
        experiments: all of them, with what is wrong and what is stored already.
        updates: hyperparameters that the command changes, each as `key=value`.
        thorough: whether nothing is to be launched if anything is wrong.
    """

    experiments: tuple[PlannedExperiment, ...]
    updates: tuple[str, ...] = ()
    thorough: bool = False

    @classmethod
    def make(
        cls,
        path: Path,
        updates: Sequence[str] = (),
        only: Sequence[str] = (),
        thorough: bool = False,
        runs: Path | None = None,
    ) -> "LaunchPlan":
        """Find and check the experiments that a config, a sweep or a folder of them describes.

        Args:
            path: a JSON file, or a folder that is walked for them in a stable order.
            updates: hyperparameters to change in each, as `key=value`.
            only: values that the experiments must have, as `key=value`.
            thorough: whether to check the plug-ins of a file that is no sweep as well, so that
                `jobs` refuses what is wrong with it.
            runs: the folder of the local record where the experiments run on this machine, which
                must then be large enough for those whose plug-ins are checked.

        Raises:
            ConfigError: if there is no such file or folder, it holds no config, a sweep is no
                proper one, or no experiment has the values.
        """
        found = [one for file in files_of(path) for one in _of_file(file, updates, thorough, runs)]
        for text in only:
            found = _chosen(found, text)
        return cls(tuple(found), tuple(updates), thorough)

    def without_completed(self, folder: Path, root: Path) -> "LaunchPlan":
        """The same with what a local record holds of them: the completed ones are not run again.

        Args:
            folder: the folder of the local record.
            root: the folder with the framework's script and package.
        """
        stored = StoredExperiments(folder, root)

        def marked(experiment: PlannedExperiment) -> PlannedExperiment:
            if experiment.mistake:
                return experiment
            values = experiment.combination.hyperparameters
            stored_as = stored.completed(values)
            continues = None if stored_as else stored.unfinished(values)
            return replace(experiment, stored_as=stored_as, continues=continues)

        return replace(self, experiments=tuple(map(marked, self.experiments)))

    @property
    def has_mistakes(self) -> bool:
        """Whether the config of an experiment is wrong."""
        return any(experiment.mistake for experiment in self.experiments)

    def table(self) -> str:
        """The experiments with what they vary and their state, as text; below it their mistakes."""
        rows = [
            {
                "experiment": experiment.combination.name,
                **{k: sweep.shown(v) for k, v in experiment.combination.varied.items()},
                "check": experiment.state,
            }
            for experiment in self.experiments
        ]
        table = pd.DataFrame(rows).fillna("")
        ordered = [*(name for name in table.columns if name != "check"), "check"]
        lines = [
            table[ordered].to_string(index=False),
            f"{len(rows)} experiments",
            *self._mistakes(),
        ]
        return "\n".join(lines)

    def _mistakes(self) -> list[str]:
        """Each mistake once, with the experiments that have it."""
        names: dict[str, list[str]] = {}
        for experiment in self.experiments:
            if experiment.mistake:
                names.setdefault(experiment.mistake, []).append(experiment.combination.name)
        return [
            f"error: {first}{f' and {len(others)} others' if others else ''}: {mistake}"
            for mistake, (first, *others) in names.items()
        ]

    def jobs(self, folder: Path, write: bool = True) -> list[Job]:
        """What is to be launched.

        The hyperparameters of each combination are written below a folder, so that any launcher
        can start it at any time, as a thorough plan has those of every file; else a file that is
        no sweep is taken as it is.

        Args:
            folder: the folder of the local record.
            write: whether to write the hyperparameters.

        Raises:
            ConfigError: if the config of a combination is wrong, or of anything in a thorough
                plan; else a launcher says that of a file that is no sweep, and goes on.
        """
        mistakes = [
            f"{experiment.combination.name}: {experiment.mistake}"
            for experiment in self.experiments
            if experiment.mistake and (self.thorough or experiment.combination.is_resolved)
        ]
        if mistakes:
            raise ConfigError("; ".join(mistakes))
        waiting = [experiment for experiment in self.experiments if experiment.stored_as is None]
        return [self._job(experiment, folder / CONFIGS_FOLDER, write) for experiment in waiting]

    def _job(self, experiment: PlannedExperiment, folder: Path, write: bool) -> Job:
        one = experiment.combination
        if not one.is_resolved and not self.thorough:
            return Job(one.name, one.source, self.updates, experiment.continues)
        config = _config_file(one, folder, write)
        return Job(one.name, config, continues=experiment.continues)


def plug_ins_of(config: Config) -> "Plan":
    """The plug-ins that a config names, which are the same on any backend.

    Raises:
        ConfigError: if one cannot be used.
    """
    # only here, since Keras takes seconds
    if "keras" not in sys.modules:
        start_keras(config.backend)
    from deep_bottleneck.pipeline.plan import make_plan

    return make_plan(config)


def files_of(path: Path) -> list[Path]:
    """The config files that a path names: itself, or those of a folder, in a stable order.

    Raises:
        ConfigError: if there is none.
    """
    if path.is_dir():
        files = sorted(path.rglob("*.json"))
        if not files:
            raise ConfigError(f"{path}: no config file (*.json) in this folder or below it")
        return files
    if not path.exists():
        raise ConfigError(f"{path}: there is no such file or folder{_near(path)}")
    return [path]


def _near(path: Path) -> str:
    """The config whose name is nearest to that of one that there is not."""
    folder = Path("configs") if path.parent == Path() else path.parent
    names = {_told_apart(one): one for one in sorted(folder.rglob("*.json"))}
    close = difflib.get_close_matches(_told_apart(path), names, n=1)
    return f"; did you mean {names[close[0]]}?" if close else ""


def _told_apart(path: Path) -> str:
    """The name of a config, whose numbers may have leading zeros."""
    return re.sub(r"0*(\d+)", r"\1", path.stem)


def _of_file(
    path: Path, updates: Sequence[str], thorough: bool, runs: Path | None
) -> Iterable[PlannedExperiment]:
    for combination in sweep.expand(path, updates):
        plug_ins = thorough or combination.is_resolved
        yield PlannedExperiment(combination, _mistake(combination, plug_ins, runs))


def _mistake(combination: Combination, plug_ins: bool, runs: Path | None) -> str:
    """What is wrong with a config, or with the plug-ins it names; "" if nothing."""
    try:
        config = Config.parse(combination.hyperparameters)
        if plug_ins:
            plan = plug_ins_of(config)
            if runs is not None:
                from deep_bottleneck.pipeline import needs

                needs.check_config(config, plan, runs)
    except ConfigError as error:
        return str(error)
    return ""


def _chosen(experiments: Sequence[PlannedExperiment], text: str) -> list[PlannedExperiment]:
    """The experiments with this value of a hyperparameter."""
    key, value = sweep.parse_update(text)
    wanted = {sweep.shown(value), text.partition("=")[2]}
    values = [_value(experiment.combination, key) for experiment in experiments]
    kept = [
        experiment
        for experiment, own in zip(experiments, values, strict=True)
        if own == value or sweep.shown(own) in wanted
    ]
    if not kept:
        there = ", ".join(dict.fromkeys(map(sweep.shown, values)))
        raise ConfigError(f'--only {text}: no experiment has this "{key}"; there are {there}')
    return kept


def _value(combination: Combination, key: str) -> Any:
    """An experiment's value of a hyperparameter, or of an element of one, or else the default."""
    if key in combination.varied:
        return combination.varied[key]
    first, _, rest = key.partition(".")
    defaults = Config.parse({}).defaults()
    if first not in Config.model_fields:
        raise ConfigError(f'--only: there is no hyperparameter "{first}"')
    value = combination.hyperparameters.get(first, defaults.get(first))
    return value.get(rest) if rest and isinstance(value, dict) else value


def _config_file(combination: Combination, folder: Path, write: bool) -> Path:
    """A config file with the combination's hyperparameters.

    Its folder is named after the content, so that no launch changes a file another one needs.
    """
    text = json.dumps(combination.hyperparameters, indent=4) + "\n"
    name = combination.name if combination.is_resolved else combination.source.stem
    path = folder / digest_of(text.encode())[:12] / f"{name}.json"
    if write and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return path
