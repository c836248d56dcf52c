"""Move and mend stored experiments.

python -m deep_bottleneck.storage sync             # the local record -> the database
python -m deep_bottleneck.storage export FOLDER    # the database -> a folder
python -m deep_bottleneck.storage import FOLDER    # a folder -> the database
python -m deep_bottleneck.storage doctor [--mend]  # what killed processes have left
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from deep_bottleneck.errors import ConfigError, RecordError, exit_on
from deep_bottleneck.machine.environment import runs_folder
from deep_bottleneck.storage.base import RecordStore
from deep_bottleneck.storage.folder_store import FolderStore
from deep_bottleneck.storage.mongo import ENV_FILE, MongoSettings, mongo_settings
from deep_bottleneck.storage.mongo_store import MongoStore
from deep_bottleneck.storage.moving.doctor import examine
from deep_bottleneck.storage.moving.download import download
from deep_bottleneck.storage.moving.transfer import Transfer, alone, table
from deep_bottleneck.storage.moving.upload import upload


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command says, and show what was done.

    Returns:
        The exit status: 0, or 1 if something could not be moved or is still to be mended.
    """
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s - %(message)s")
    with exit_on(ConfigError, RecordError):
        settings = mongo_settings(os.environ, ENV_FILE)
        if options.command == "doctor":
            return _doctor(settings, options.mend)
        if settings is None:
            raise ConfigError(
                "no database is configured: set MONGO_URI, or MONGO_HOST and MONGO_DATABASE, in "
                f"the environment or in {ENV_FILE}"
            )
        database = MongoStore(settings)
        folder = runs_folder(os.environ) if options.command == "sync" else options.folder
        return _move(database, folder, to_folder=options.command == "export")


def _move(database: MongoStore, folder: Path, to_folder: bool) -> int:
    if to_folder:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RecordError(f"{folder} cannot be a folder: {error.strerror}") from None
    elif not folder.is_dir():
        raise RecordError(f"{folder} is no folder: there is no local record")
    local = FolderStore(folder)
    transfers: list[Transfer] = []
    try:
        with alone(folder):
            transfers.extend(download(database, local) if to_folder else upload(local, database))
    finally:
        if transfers:
            sys.stdout.write(table(transfers) + "\n")
    done = sum(transfer.moved for transfer in transfers)
    sys.stdout.write(f"{done} of {len(transfers)} experiments had something to move\n")
    return int(any(transfer.failed for transfer in transfers))


def _doctor(settings: MongoSettings | None, mend: bool) -> int:
    stores: list[RecordStore] = [FolderStore(runs_folder(os.environ))]
    if settings:
        stores.append(MongoStore(settings))
    findings = [(repr(s), *finding) for s in stores for finding in examine(s, mend)]
    if not findings:
        sys.stdout.write("Everything is in order\n")
        return 0
    columns = ["store", "where", "what", "mended"]
    found = pd.DataFrame(findings, columns=columns)
    sys.stdout.write(found.to_string(index=False) + "\n")
    return int(bool((found["mended"] == "").any()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deep_bottleneck.storage", description="Move and mend stored experiments."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("sync", help="bring what is missing from the local record to the database")
    for name, direction in (("export", "from the database to"), ("import", "to the database from")):
        command = commands.add_parser(name, help=f"bring what is missing {direction} a folder")
        command.add_argument("folder", type=Path)
    doctor = commands.add_parser("doctor", help="find what killed processes have left")
    doctor.add_argument(
        "--mend",
        action="store_true",
        help="mark LOST experiments as ended, and delete files that belong to no experiment",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
