"""A MongoDB server of one's own, for benchmarks and tests, where no other is at hand."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymongo


@dataclass
class MongoServer:
    """A server that can be killed and started again.

    Attributes:
        folder: where its data are.
        port: where it listens on this machine.
    """

    folder: Path
    port: int
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def uri(self) -> str:
        """Its address."""
        return f"mongodb://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            PyMongoError: if it does not answer within half a minute.
        """
        command = [str(Path(sys.executable).with_name("nx-27017")), "--port", str(self.port)]
        command += ["--data-dir", str(self.folder), "--pid-file", str(self.folder / "server.pid")]
        with (self.folder / "server.log").open("w") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603
        _wait_for(self.uri)

    def kill(self) -> None:
        """End it at once, in the middle of whatever it does."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def mongo_server(folder: Path) -> Iterator[MongoServer]:
    """A server that runs as long as it is needed, on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server = MongoServer(folder, free.getsockname()[1])
    try:
        server.start()
        yield server
    finally:
        server.kill()


def _wait_for(uri: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    client: pymongo.MongoClient[Any]
    while True:
        with pymongo.MongoClient(uri, serverSelectionTimeoutMS=500) as client:
            try:
                client.admin.command("ping")
            except pymongo.errors.PyMongoError:
                if time.monotonic() > deadline:
                    raise
            else:
                return
