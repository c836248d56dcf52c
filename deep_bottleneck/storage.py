"""Where experiments are stored: Sacred observers for a local folder and, if configured, MongoDB.

The local record always comes first and chooses the experiment's id, so a database that is absent
or goes away costs nothing but its own copy.
"""

import json
import logging
import mimetypes
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pymongo
from dotenv import dotenv_values
from pymongo.errors import ConfigurationError, DuplicateKeyError, OperationFailure, PyMongoError
from sacred.observers import FileStorageObserver, MongoObserver, RunObserver

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.settings import REPORT_VARIABLE, runs_folder

logger = logging.getLogger(__name__)

LOCAL_PRIORITY = 40
DATABASE_PRIORITY = 30
REACH_WITHIN_MS = 3000
STALL_AFTER_MS = 20_000
FAILURE_FOLDER = "_database_failures"


@dataclass(frozen=True)
class MongoSettings:
    """How to reach a MongoDB.

    Attributes:
        uri: the connection string; it may hold a password and is never shown.
        database: the database that holds the experiments.
    """

    uri: str = field(repr=False)
    database: str


def mongo_settings(environment: Mapping[str, str], env_file: Path) -> MongoSettings | None:
    """The database that the environment or a `.env` file names, None if neither does.

    `MONGO_URI`, or else `MONGO_HOST` with `MONGO_DATABASE` and, where the database asks for them,
    `MONGO_INITDB_ROOT_USERNAME` and `MONGO_INITDB_ROOT_PASSWORD`. The environment wins over the
    file.

    Raises:
        ConfigError: if the settings are incomplete or the URI cannot be read.
    """
    from_file = {name: value for name, value in dotenv_values(env_file).items() if value}
    settings = {**from_file, **{name: value for name, value in environment.items() if value}}
    uri = settings.get("MONGO_URI")
    if uri:
        try:
            in_uri = pymongo.uri_parser.parse_uri(uri)["database"]
        except (ConfigurationError, ValueError, PyMongoError) as error:
            raise ConfigError(f"MONGO_URI is not a MongoDB address: {error}") from None
        return MongoSettings(uri, settings.get("MONGO_DATABASE") or in_uri or "sacred")
    host = settings.get("MONGO_HOST")
    if not host:
        return None
    database = settings.get("MONGO_DATABASE")
    if not database:
        raise ConfigError("MONGO_HOST is set but MONGO_DATABASE is not: name the database to use")
    user = settings.get("MONGO_INITDB_ROOT_USERNAME")
    password = settings.get("MONGO_INITDB_ROOT_PASSWORD")
    if bool(user) != bool(password):
        raise ConfigError(
            "MONGO_INITDB_ROOT_USERNAME and MONGO_INITDB_ROOT_PASSWORD go together: set both or "
            "neither"
        )
    login = ""
    if user and password:
        login = f"{quote_plus(user)}:{quote_plus(password)}@"
    return MongoSettings(f"mongodb://{login}{host}", database)


def observers(environment: Mapping[str, str], env_file: Path) -> list[RunObserver]:
    """The observers that store an experiment.

    Args:
        environment: `DEEP_BOTTLENECK_RUNS` names the folder of the local record, `runs` if it does
            not; `DEEP_BOTTLENECK_REPORT` a file for a `JobReport`; see `mongo_settings` besides.
        env_file: more settings for the database.

    Returns:
        The local record and, where a database is configured and answers, that database.

    Raises:
        ConfigError: if the settings of the database are wrong.
    """
    folder = runs_folder(environment)
    chosen: list[RunObserver] = [LocalRecord(folder)]
    report = environment.get(REPORT_VARIABLE)
    if report:
        chosen.append(JobReport(Path(report)))
    settings = mongo_settings(environment, env_file)
    database = _connect(settings, folder / FAILURE_FOLDER) if settings else None
    return [*chosen, database] if database else chosen


def local_folder(observers: Iterable[RunObserver]) -> Path | None:
    """The folder of the local record, None if there is none."""
    for observer in observers:
        if isinstance(observer, FileStorageObserver) and observer.dir:
            return Path(observer.dir)
    return None


class LocalRecord(FileStorageObserver):
    """A folder for each experiment, readable at any moment, also after a kill."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, priority=LOCAL_PRIORITY)

    def save_json(self, obj: Any, filename: str) -> None:
        """Write to a temporary file and rename it, so that no half-written file is ever seen."""
        unfinished = f".{filename}.unfinished"
        super().save_json(obj, unfinished)
        folder = Path(self.dir)
        (folder / unfinished).replace(folder / filename)

    def artifact_event(
        self,
        name: str,
        filename: str,
        metadata: Mapping[str, Any] | None = None,
        content_type: str | None = None,
    ) -> None:
        """Store an artifact under its name with the file's suffix, so that it opens by a click."""
        suffix = Path(filename).suffix
        self.save_file(filename, name if name.endswith(suffix) else name + suffix)
        self.run_entry["artifacts"].append(name)
        self.save_json(self.run_entry, "run.json")


class JobReport(RunObserver):
    """Tells whoever launched an experiment how it is doing, in a small JSON file.

    The file has the keys id, status, epochs (to train), epoch (the last one logged, or null) and
    error (the last line of what went wrong, or ""); it is written anew with every heartbeat.
    """

    priority = LOCAL_PRIORITY - 1

    def __init__(self, path: Path) -> None:
        self._path = path
        self._told: dict[str, Any] = {}

    def started_event(self, _id: Any, config: Mapping[str, Any], **event: Any) -> Any:
        """The experiment has an id."""
        self._told = {"id": str(_id), "epochs": config.get("epochs"), "epoch": None, "error": ""}
        self._write("RUNNING")
        return _id

    def log_metrics(self, metrics_by_name: Mapping[str, Any], info: Any) -> None:
        """Epochs were logged."""
        steps = [metric["steps"][-1] for metric in metrics_by_name.values() if metric["steps"]]
        self._told["epoch"] = max([*steps, *filter(None, [self._told["epoch"]])], default=None)

    def heartbeat_event(self, **event: Any) -> None:
        """The experiment is alive."""
        self._write("RUNNING")

    def completed_event(self, **event: Any) -> None:
        """The experiment is complete."""
        self._write("COMPLETED")

    def interrupted_event(self, status: str, **event: Any) -> None:
        """The experiment was interrupted."""
        self._write(status)

    def failed_event(self, fail_trace: Sequence[str], **event: Any) -> None:
        """The experiment has failed."""
        lines = "".join(fail_trace).split("\n")
        self._told["error"] = next((line for line in reversed(lines) if line.strip()), "")
        self._write("FAILED")

    def _write(self, status: str) -> None:
        unfinished = self._path.with_name(f".{self._path.name}.unfinished")
        unfinished.write_text(json.dumps({**self._told, "status": status}))
        unfinished.replace(self._path)


class DatabaseRecord(MongoObserver):
    """The experiment in MongoDB, under the local record's id where that is still free."""

    def started_event(
        self,
        ex_info: Mapping[str, Any],
        command: str,
        host_info: Mapping[str, Any],
        start_time: datetime,
        config: Mapping[str, Any],
        meta_info: Mapping[str, Any],
        _id: Any,
    ) -> Any:
        """Insert the experiment; the id of the local record stays the experiment's."""
        local_id = int(_id) if str(_id).isdigit() else _id
        event = (ex_info, command, host_info, start_time, config, meta_info)
        try:
            super().started_event(*event, local_id)
        except DuplicateKeyError:
            super().started_event(*event, None)
            logger.info(
                "The database has an experiment %s already; this one is %s there.",
                local_id,
                self.run_entry["_id"],
            )
        return _id

    def completed_event(self, stop_time: datetime, result: Any) -> None:
        """Store the end and leave the database."""
        super().completed_event(stop_time, result)
        self._client.close()

    def interrupted_event(self, interrupt_time: datetime, status: str) -> None:
        """Store the end and leave the database."""
        super().interrupted_event(interrupt_time, status)
        self._client.close()

    def failed_event(self, fail_time: datetime, fail_trace: Sequence[str]) -> None:
        """Store the end and leave the database."""
        super().failed_event(fail_time, fail_trace)
        self._client.close()

    @staticmethod
    def _try_to_detect_content_type(filename: str) -> str | None:
        return mimetypes.guess_type(filename)[0]


def _connect(settings: MongoSettings, failure_folder: Path) -> DatabaseRecord | None:
    client: pymongo.MongoClient[Any] = pymongo.MongoClient(
        settings.uri,
        serverSelectionTimeoutMS=REACH_WITHIN_MS,
        connectTimeoutMS=REACH_WITHIN_MS,
        socketTimeoutMS=STALL_AFTER_MS,
    )
    try:
        client[settings.database].list_collection_names()
    except OperationFailure as error:
        reason = (error.details or {}).get("errmsg", "the operation was refused")
    except PyMongoError:
        reason = f"it did not answer within {REACH_WITHIN_MS / 1000:g} seconds"
    else:
        return DatabaseRecord(
            client=client,
            db_name=settings.database,
            failure_dir=failure_folder,
            priority=DATABASE_PRIORITY,
        )
    hosts = ", ".join(f"{host}:{port}" for host, port in sorted(_hosts(settings.uri)))
    logger.warning(
        'The MongoDB database "%s" at %s cannot be used (%s); the experiment is stored in the '
        "local record only.",
        settings.database,
        hosts,
        reason,
    )
    client.close()
    return None


def _hosts(uri: str) -> list[tuple[str, int | None]]:
    return list(pymongo.uri_parser.parse_uri(uri)["nodelist"])
