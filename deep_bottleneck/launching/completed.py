"""Which experiments are stored already, with the same config and the same code.

Those that are complete need not be run again, and those that left a checkpoint can go on from it.
What launches have left undone is launched again the way it was.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from deep_bottleneck.config import Config, sweep
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import Job, State, Status
from deep_bottleneck.launching import follow_up
from deep_bottleneck.launching.submission import Submission
from deep_bottleneck.pipeline import sources
from deep_bottleneck.storage.folder_store import FolderStore
from deep_bottleneck.storage.names import left_unfinished

UNDONE = (State.FAILED, State.TIMEOUT, State.INTERRUPTED, State.LOST)


@dataclass(frozen=True)
class _Stored:
    """An experiment's folder, status and seed, where its code was, and what was kept of it."""

    folder: Path
    status: str
    seed: int | None
    base: Path
    sources: tuple[tuple[str, str], ...]

    @property
    def can_go_on(self) -> bool:
        """Whether it has ended before its end, and left a checkpoint and what it recorded."""
        has_ended_early = self.status not in (Status.COMPLETED, Status.RUNNING)
        return has_ended_early and left_unfinished(self.folder)


class StoredExperiments:
    """What a local record holds that need not be run again, or not from its beginning."""

    def __init__(self, folder: Path, root: Path) -> None:
        """Read the records.

        Args:
            folder: the folder of the local record, which need not exist.
            root: the folder with the framework's script and package.
        """
        self._found: defaultdict[str, list[_Stored]] = defaultdict(list)
        for config, stored in _stored(folder):
            self._found[_all_but_seed(config)].append(stored)
        # hundreds of experiments share their code, whose files are read only once
        self._unchanged = cache(partial(sources.unchanged, root))

    def completed(self, values: Mapping[str, Any]) -> str | None:
        """The id of the last completed experiment with these hyperparameters and today's code.

        A seed that is not given, and would be drawn, may be any.

        Args:
            values: the hyperparameters that differ from the defaults.
        """
        same = (one for one in self._same(values) if one.status == Status.COMPLETED)
        return next((one.folder.name for one in same), None)

    def unfinished(self, values: Mapping[str, Any]) -> Path | None:
        """The record of the last such experiment that has ended early and left a checkpoint."""
        return next((one.folder for one in self._same(values) if one.can_go_on), None)

    def _same(self, values: Mapping[str, Any]) -> Iterator[_Stored]:
        """The experiments with these hyperparameters and today's code, the last first."""
        wanted = Config.parse(values)
        for stored in reversed(self._found.get(_all_but_seed(wanted), [])):
            same_seed = wanted.seed in (None, stored.seed)
            if same_seed and self._unchanged(stored.base, stored.sources):
                yield stored


def _all_but_seed(config: Config) -> str:
    return json.dumps(config.model_dump(mode="json", exclude={"seed"}), sort_keys=True)


def _stored(folder: Path) -> Iterator[tuple[Config, _Stored]]:
    """In the order of their ids; a record that cannot be read, or is of older keys, is left out."""
    store = FolderStore(folder)
    entries = store.entries(store.ids())
    for id_, values in store.configs(list(entries)).items():
        try:
            config = Config.parse(values)
        except ConfigError:
            continue
        experiment = entries[id_].details.get("experiment", {})
        base = Path(experiment.get("base_dir", ""))
        kept = tuple((name, file) for name, file in experiment.get("sources", ()))
        record = store.folder_of(id_)
        yield config, _Stored(record, entries[id_].status, config.seed, base, kept)


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
    records: dict[Path, StoredExperiments] = {}
    for submission, tasks in follow_up.states(output):
        undone = [task.job for task in tasks if task.state in UNDONE]
        if undone and submission.runs not in records:
            records[submission.runs] = StoredExperiments(submission.runs, root)
        jobs = [_to_do(job, records[submission.runs]) for job in undone]
        if any(jobs):
            yield submission, [job for job in jobs if job]


def _to_do(job: Job, stored: StoredExperiments) -> Job | None:
    combination, *others = sweep.expand(job.config, job.updates)
    if others:
        raise ConfigError(f"{job.config} has become a sweep; launch it with -d {job.config}")
    values = combination.hyperparameters
    if stored.completed(values) is not None:
        return None
    return replace(job, continues=stored.unfinished(values))
