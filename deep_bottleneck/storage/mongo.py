"""How to reach a MongoDB: the settings, and a client that does not wait for ever."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import gridfs
import pymongo
from bson.errors import BSONError
from dotenv import dotenv_values
from gridfs.errors import GridFSError
from pymongo.errors import ConfigurationError, OperationFailure, PyMongoError

from deep_bottleneck.errors import ConfigError, RecordError, StoreGoneError
from deep_bottleneck.machine.environment import ENV_PATH

REACH_WITHIN_MS = 3000
STALL_AFTER_MS = 20_000
# of those whom a database does not know, or does not let do what they ask for
_NOT_ALLOWED = (13, 18, 8000)
# of what is said about a document, which may repeat all of it
_SHOWN = 200
DEFAULT_DATABASE = "sacred"
_NAMES = (
    "MONGO_HOST",
    "MONGO_DATABASE",
    "MONGO_INITDB_ROOT_USERNAME",
    "MONGO_INITDB_ROOT_PASSWORD",
)
ENV_FILE = Path(__file__).resolve().parents[2] / ENV_PATH


@dataclass(frozen=True)
class MongoSettings:
    """How to reach a MongoDB.

    Attributes:
        uri: the connection string; it may hold a password and is never shown.
        database: the database that holds the experiments.
    """

    uri: str = field(repr=False)
    database: str

    @property
    def hosts(self) -> str:
        """Where the database is, without user and password."""
        nodes = pymongo.uri_parser.parse_uri(self.uri)["nodelist"]
        return ", ".join(f"{host}:{port}" for host, port in sorted(nodes))

    def connect(self) -> "pymongo.MongoClient[Any]":
        """A client whose database has answered.

        Raises:
            ConfigError: if it cannot be reached in the way that its address says.
            StoreGoneError: if it does not answer or refuses; the message holds no password.
        """
        try:
            client: pymongo.MongoClient[Any] = pymongo.MongoClient(
                self.uri,
                serverSelectionTimeoutMS=REACH_WITHIN_MS,
                connectTimeoutMS=REACH_WITHIN_MS,
                socketTimeoutMS=STALL_AFTER_MS,
            )
        except (PyMongoError, ValueError, TypeError) as error:
            raise ConfigError(f"MONGO_URI is not a MongoDB address: {error}") from None
        try:
            with pymongo.timeout(REACH_WITHIN_MS / 1000):
                client[self.database].list_collection_names()
        except OperationFailure as error:
            reason = refusal(error)
        except PyMongoError:
            reason = f"it did not answer within {REACH_WITHIN_MS / 1000:g} seconds"
        except (BSONError, AttributeError, LookupError, TypeError, ValueError) as error:
            # pymongo reads the answers to a login without a doubt about them
            reason = f"it answers as no MongoDB does: {type(error).__name__}"
        else:
            return client
        client.close()
        raise StoreGoneError(
            f'The MongoDB database "{self.database}" at {self.hosts} cannot be used ({reason})'
        )


def refusal(error: OperationFailure) -> str:
    """What a database says when it refuses something, without the command that it repeats."""
    said = str((error.details or {}).get("errmsg") or "the operation was refused")
    return said.partition(" {")[0]


@contextmanager
def refusals_of(place: str) -> Iterator[None]:
    """Say in one sentence what a database refused, or that it is gone.

    Args:
        place: the database, in words.

    Raises:
        StoreGoneError: if it does not answer, or lets nobody in.
        RecordError: if it refuses something else.
    """
    try:
        yield
    except gridfs.NoFile:
        raise RecordError(f"{place}: a file of the experiment is not there") from None
    except GridFSError:
        raise RecordError(f"{place}: a file of the experiment is damaged") from None
    except (BSONError, OverflowError, UnicodeEncodeError) as error:
        raise RecordError(f"{place} cannot store it: {str(error)[:_SHOWN]}") from None
    except OperationFailure as error:
        kind = StoreGoneError if error.code in _NOT_ALLOWED else RecordError
        raise kind(f"{place} refused: {refusal(error)}") from None
    except PyMongoError as error:
        raise StoreGoneError(f"{place} does not answer ({type(error).__name__})") from None


def settings_of_uri(
    uri: str, database: str | None = None, name: str = "MONGO_URI"
) -> MongoSettings:
    """The settings that an address stands for, with the database it names if none is given.

    Args:
        uri: the address.
        database: the database there.
        name: what gave the address, for error messages.

    Raises:
        ConfigError: if it is no address of a MongoDB.
    """
    # such an address may parse, and part of the password be taken for a database, which is shown
    if re.search(r"://[^/?#]*[/?#].*@", uri):
        raise ConfigError(
            f"{name} is not a MongoDB address: a user or password with one of / ? # in it is "
            "written percent-encoded, as urllib.parse.quote_plus does it"
        )
    try:
        in_uri = pymongo.uri_parser.parse_uri(uri)["database"]
        # which is asked for nothing, but doubts more: that a user has a password, for one
        pymongo.MongoClient(uri, connect=False).close()
    except (ConfigurationError, OSError, ValueError, PyMongoError) as error:
        raise ConfigError(f"{name} is not a MongoDB address: {error}") from None
    return MongoSettings(uri, database or in_uri or DEFAULT_DATABASE)


def mongo_settings(environment: Mapping[str, str], env_file: Path) -> MongoSettings | None:
    """The database that the environment or a `.env` file names, None if neither does.

    `MONGO_URI`, or else `MONGO_HOST` with `MONGO_DATABASE` and, where the database asks for them,
    `MONGO_INITDB_ROOT_USERNAME` and `MONGO_INITDB_ROOT_PASSWORD`. Where one of these is set and no
    host, it is this machine. The environment wins over the file.

    Raises:
        ConfigError: if the settings are incomplete or the URI cannot be read.
    """
    from_file = {name: value for name, value in dotenv_values(env_file).items() if value}
    settings = {**from_file, **{name: value for name, value in environment.items() if value}}
    uri = settings.get("MONGO_URI")
    if uri:
        return settings_of_uri(uri, settings.get("MONGO_DATABASE"))
    named = [name for name in _NAMES if settings.get(name)]
    if not named:
        return None
    host = settings.get("MONGO_HOST", "localhost")
    database = settings.get("MONGO_DATABASE")
    if not database:
        raise ConfigError(f"{named[0]} is set but MONGO_DATABASE is not: name the database to use")
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
    return settings_of_uri(f"mongodb://{login}{host}", database, "MONGO_HOST")
