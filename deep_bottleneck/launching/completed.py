"""Which experiments are stored already, with the same config and the same code.

Those that are complete need not be run again, and those that left a checkpoint can go on from it.
What launches have left undone is launched again the way it was.
"""

import json
import logging
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
from deep_bottleneck.machine.disk_space import leftovers
from deep_bottleneck.pipeline import sources
from deep_bottleneck.storage.base import Entry, ExperimentId, listed
from deep_bottleneck.storage.folder_store import FolderStore
from deep_bottleneck.storage.names import left_unfinished

logger = logging.getLogger(__name__)

UNDONE = (State.FAILED, State.TIMEOUT, State.INTERRUPTED, State.LOST)


@dataclass(frozen=True)
class _Stored:
    """An experiment's folder, status and seed, where its code was, and what was kept of it."""

    folder: Path
    entry: Entry
    seed: int | None
    base: Path
    sources: tuple[tuple[str, str], ...]

    @property
    def can_go_on(self) -> bool:
        """Whether it has ended before its end, and left a checkpoint and what it recorded."""
        has_ended_early = self.entry.status not in (Status.COMPLETED, Status.RUNNING)
        return has_ended_early and left_unfinished(self.folder)


class StoredExperiments:
    """What a local record holds that need not be run again, or not from its beginning."""

    def __init__(self, folder: Path, root: Path) -> None:
        """Read the records.

        Args:
            folder: the folder of the local record, which need not exist.
            root: the folder with the framework's script and package.
        """
        self._store = FolderStore(folder)
        self._found: defaultdict[str, list[_Stored]] = defaultdict(list)
        for config, stored in _stored(self._store):
            self._found[_all_but_seed(config)].append(stored)
        # hundreds of experiments share their code, whose files are read only once
        self._unchanged = cache(partial(sources.unchanged, root))

    def completed(self, values: Mapping[str, Any]) -> str | None:
        """The id of the last completed experiment with these hyperparameters and today's code.

        One of which a table, or another artifact, is gone is not complete, and the log says so.
        A seed that is not given, and would be drawn, may be any.

        Args:
            values: the hyperparameters that differ from the defaults.
        """
        same = (one for one in self._same(values) if one.entry.status == Status.COMPLETED)
        return next((one.folder.name for one in same if self._is_whole(one.entry.id)), None)

    def unfinished(self, values: Mapping[str, Any]) -> Path | None:
        """The record of the last such experiment that has ended early and left a checkpoint.

        What only a process needed that was killed on this machine is deleted.
        """
        same = list(self._same(values))
        for one in same:
            if one.entry.process_alive is False:
                for path in leftovers(one.folder):
                    path.unlink(missing_ok=True)
        return next((one.folder for one in same if one.can_go_on), None)

    def _is_whole(self, experiment_id: ExperimentId) -> bool:
        lacking = self._store.lacking_artifacts(experiment_id)
        if lacking:
            logger.warning(
                "Experiment %s in %s is not complete: %s",
                experiment_id,
                self._store.folder,
                listed(lacking),
            )
        return not lacking

    def _same(self, values: Mapping[str, Any]) -> Iterator[_Stored]:
        """The experiments with these hyperparameters and today's code, the last first."""
        wanted = Config.parse(values)
        for stored in reversed(self._found.get(_all_but_seed(wanted), [])):
            same_seed = wanted.seed in (None, stored.seed)
            # without sources nobody knows what code it was
            if same_seed and stored.sources and self._unchanged(stored.base, stored.sources):
                yield stored


def _all_but_seed(config: Config) -> str:
    return json.dumps(config.model_dump(mode="json", exclude={"seed"}), sort_keys=True)


def _stored(store: FolderStore) -> Iterator[tuple[Config, _Stored]]:
    """In the order of their ids; a record that cannot be read, or is of older keys, is left out."""
    entries = store.entries(store.ids() if store.folder.exists() else [])
    for id_, values in store.configs(list(entries)).items():
        try:
            config = Config.parse(values)
        except ConfigError:
            continue
        entry = entries[id_]
        base = Path((entry.details.get("experiment") or {}).get("base_dir") or "")
        kept = tuple((name, str(file)) for name, file in entry.kept_sources)
        yield config, _Stored(store.folder_of(id_), entry, config.seed, base, kept)


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
