"""Finds stored experiments."""

import os
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deep_bottleneck.errors import RecordError
from deep_bottleneck.eval_tools.collection import ExperimentCollection
from deep_bottleneck.eval_tools.configs import flat
from deep_bottleneck.eval_tools.experiment import Experiment
from deep_bottleneck.eval_tools.query import expression
from deep_bottleneck.interfaces import Status
from deep_bottleneck.machine.environment import runs_folder
from deep_bottleneck.storage.base import ExperimentId, RecordStore, as_id
from deep_bottleneck.storage.folder_store import FolderStore
from deep_bottleneck.storage.mongo import ENV_FILE, mongo_settings, settings_of_uri
from deep_bottleneck.storage.mongo_store import MongoStore

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class ExperimentLoader:
    """Finds experiments in the local record or in a MongoDB, with the same calls and results."""

    def __init__(
        self,
        mongo_uri: str | None = None,
        db_name: str | None = None,
        path: str | Path | None = None,
    ) -> None:
        """Choose where to look.

        Args:
            mongo_uri: the address of a MongoDB.
            db_name: the database there; the one in the address, or else "sacred".
            path: the folder of a local record.

        Without an address and a folder the environment decides, or the file
        `infrastructure/sacred_setup/.env`: the MongoDB they name, or else the local record.

        Raises:
            ConfigError: if the settings of the database are wrong.
            RecordError: if the database does not answer, or there is no such folder.
            ValueError: if both a database and a folder are given.
        """
        if path is not None and (mongo_uri or db_name):
            raise ValueError("give either a database (mongo_uri, db_name) or a folder (path)")
        self.store = _store(mongo_uri, db_name, path)

    def find_by_id(self, experiment_id: ExperimentId) -> Experiment:
        """The experiment with an id.

        Raises:
            RecordError: if there is none, or it cannot be read.
        """
        wanted = as_id(experiment_id)
        self.store.check(wanted)
        return Experiment(self.store, wanted)

    def find_by_ids(self, experiment_ids: Iterable[ExperimentId]) -> ExperimentCollection:
        """The experiments with these ids, in their order.

        Raises:
            RecordError: if one of them is not there.
        """
        wanted = list(map(as_id, experiment_ids))
        missing = set(wanted) - set(self.store.ids())
        if missing:
            names = ", ".join(map(str, sorted(missing, key=str)))
            raise RecordError(f"There is no experiment {names} in {self.store!r}")
        return ExperimentCollection(self.store, wanted)

    def find_by_name(self, pattern: str) -> ExperimentCollection:
        """The experiments in whose name a regular expression is found.

        Raises:
            ValueError: if it is no regular expression.
        """
        return self.find({"name": expression(pattern)})

    def find_sweep(self, name: str) -> ExperimentCollection:
        """The completed experiments of a sweep; of those with equal names the last.

        Args:
            name: of its config file without ".json", such as "cohort_05".
        """
        query = {"name": re.compile(f"^{re.escape(name)}(_|$)")}
        completed = self.find(query, status=Status.COMPLETED)
        entries = self.store.entries(completed.ids)
        last = {
            entries[id_].name: id_
            for id_, config in completed.configs.items()
            if _is_of_sweep(name, entries[id_].name, config)
        }
        return ExperimentCollection(self.store, last.values())

    def find_by_config_key(self, key: str, value: str) -> ExperimentCollection:
        """The experiments in one of whose hyperparameters a regular expression is found.

        Args:
            key: the hyperparameter, a nested one with dots, with or without "config." before it.
            value: the expression, searched for in strings, and in other values as JSON writes them.

        Raises:
            ValueError: if it is no regular expression.
        """
        return self.find({f"config.{key.removeprefix('config.')}": expression(value)})

    def find(self, query: Mapping[str, Any] | None = None, **equal: Any) -> ExperimentCollection:
        """The experiments that match a query, by their id.

        Args:
            query: in MongoDB's language, such as `{"config.epochs": {"$gt": 100},
                "metrics.test.accuracy": {"$gte": 0.9}}`; of a metric its last value counts.
            equal: what hyperparameters, metrics or fields must be, such as status="COMPLETED".

        Raises:
            ValueError: if the query has an unknown operator, one that takes a list has none, or a
                pattern is no regular expression.
        """
        return self.find_all().filter(query, **equal)

    def find_latest(self, n: int = 1) -> ExperimentCollection:
        """The experiments that started last, the latest first.

        Raises:
            ValueError: if fewer than one are asked for.
        """
        if n < 1:
            raise ValueError(f"n must be at least 1, not {n}")
        entries = self.store.entries(self.store.ids())
        latest = sorted(entries, key=lambda id_: entries[id_].start_time or _LONG_AGO)
        return ExperimentCollection(self.store, latest[: -n - 1 : -1])

    def find_all(self) -> ExperimentCollection:
        """Every experiment, by its id."""
        return ExperimentCollection(self.store, None)


def _is_of_sweep(sweep: str, name: str, config: Mapping[str, Any]) -> bool:
    """Whether an experiment is called like a sweep, and after that like what the sweep varies."""
    varied = name.removeprefix(sweep).removeprefix("_")
    keys = {part for key in flat(config) for part in key.split(".")}
    return not varied or varied.startswith(tuple(f"{key}-" for key in keys))


def _store(mongo_uri: str | None, db_name: str | None, path: str | Path | None) -> RecordStore:
    environment = dict(os.environ)
    if path is None:
        if mongo_uri:
            return MongoStore(settings_of_uri(mongo_uri, db_name))
        if db_name:
            environment["MONGO_DATABASE"] = db_name
        settings = mongo_settings(environment, ENV_FILE)
        if settings:
            return MongoStore(settings)
        if db_name:
            raise RecordError(
                f"db_name is {db_name!r}, but no MongoDB is configured: give mongo_uri"
            )
    folder = Path(path) if path is not None else runs_folder(environment)
    if not folder.is_dir():
        raise RecordError(f"{folder} is no folder: there is no local record")
    return FolderStore(folder)
