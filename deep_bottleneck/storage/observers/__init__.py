"""Where experiments are stored: Sacred observers for a local folder and, if configured, MongoDB.

The local record always comes first and chooses the experiment's id, and the database follows in the
background, so one that is absent, slow or goes away costs nothing but its own copy.
`python -m deep_bottleneck.storage` brings that copy up to date later, moves experiments between
folders and databases, and mends what a kill left behind.
"""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from sacred.observers import FileStorageObserver, RunObserver

from deep_bottleneck.errors import RecordError
from deep_bottleneck.machine.disk_space import make_sure_of_space
from deep_bottleneck.machine.environment import REPORT_VARIABLE, RUNS_VARIABLE, runs_folder
from deep_bottleneck.storage.mongo import mongo_settings
from deep_bottleneck.storage.mongo_store import MongoStore
from deep_bottleneck.storage.observers.background import InBackground
from deep_bottleneck.storage.observers.folder_record import FolderRecord
from deep_bottleneck.storage.observers.job_report import JobReport
from deep_bottleneck.storage.observers.mongo_record import MongoRecord

__all__ = ["configured", "is_incomplete", "local_folder", "mongo_settings"]

logger = logging.getLogger(__name__)


def configured(environment: Mapping[str, str], env_file: Path) -> list[RunObserver]:
    """The observers that store an experiment.

    Args:
        environment: `DEEP_BOTTLENECK_RUNS` names the folder of the local record, `runs` if it does
            not; `DEEP_BOTTLENECK_REPORT` a file for a `JobReport`; see `mongo_settings` besides.
        env_file: more settings for the database.

    Returns:
        The local record and, where a database is configured and answers, that database.

    Raises:
        ConfigError: if the settings of the database are wrong.
        RecordError: if the local record cannot be written; a DiskFullError where there is no space.
    """
    folder = runs_folder(environment)
    try:
        make_sure_of_space(folder)
    except OSError as error:
        raise RecordError(
            f"{folder} cannot be the folder of the local record: {error.strerror}. "
            f"Let {RUNS_VARIABLE} name a folder that can be written"
        ) from None
    local = FolderRecord(folder)
    chosen: list[RunObserver] = [local]
    report = environment.get(REPORT_VARIABLE)
    if report:
        chosen.append(JobReport(Path(report)))
    settings = mongo_settings(environment, env_file)
    if settings:
        try:
            record = MongoRecord(MongoStore(settings), folder)
        except RecordError as error:
            logger.warning("%s; the experiment is stored in the local record only.", error)
        else:
            chosen.append(InBackground(record, local.stored_as))
    return chosen


def local_folder(observers: Iterable[RunObserver]) -> Path | None:
    """The folder of the local record, None if there is none."""
    for observer in observers:
        if isinstance(observer, FileStorageObserver) and observer.dir:
            return Path(observer.dir)
    return None


def is_incomplete(observers: Iterable[RunObserver]) -> bool:
    """Whether the local record lacks something that could not be written."""
    return any(isinstance(observer, FolderRecord) and observer.missing for observer in observers)
