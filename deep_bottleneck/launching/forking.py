"""Runs scripts in forks of a process that has imported the frameworks already.

Each script has a process of its own, as if it had been started anew: its own memory, environment,
output and exit status. What is saved is the time to import, which is most of what a small
experiment takes. `multiprocessing` keeps the server that forks, and starts another if it ends.
"""

import multiprocessing
import os
import runpy
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

from deep_bottleneck.launching.home import home

FRAMEWORKS = "deep_bottleneck.launching.frameworks"
STANDARD_OUTPUT, STANDARD_ERROR = 1, 2


def is_of_this_package(script: Path) -> bool:
    """Whether a script is of the package that is imported here, so that a fork has its modules."""
    return script.parent == home()


class Fork:
    """A script that runs, with the methods of `subprocess.Popen` that a launcher needs."""

    def __init__(self, process: BaseProcess) -> None:
        self._process = process

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self._process.is_alive() and self._process.pid is not None:
            os.kill(self._process.pid, number)

    def wait(self) -> int:
        """Wait until it has ended; its exit status, or the number of a signal with a minus."""
        self._process.join()
        return self._process.exitcode or 0


class ForkServer:
    """A process that has imported the frameworks, and forks for each script."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([FRAMEWORKS])
        self._starting = threading.Lock()

    def start(
        self, command: Sequence[str], environment: Mapping[str, str], log: Path | None = None
    ) -> Fork:
        """Start a script in a process of its own.

        Args:
            command: the interpreter, which is this one, the script, and its arguments.
            environment: the script's environment. Of it, what frameworks read when they are
                imported is that of the first script.
            log: the file that its output goes to; None for where this process' output goes.
        """
        process = self._context.Process(
            target=_run, args=(tuple(command[1:]), dict(environment), log)
        )
        with self._starting, _environment_of_server(environment):
            process.start()
        return Fork(process)


@contextmanager
def _environment_of_server(environment: Mapping[str, str]) -> Iterator[None]:
    """Let a server that is started meanwhile have an environment, and find modules as here."""
    before = dict(os.environ)
    _become({**environment, "PYTHONPATH": os.pathsep.join(sys.path)})
    try:
        yield
    finally:
        _become(before)


def _run(arguments: Sequence[str], environment: Mapping[str, str], log: Path | None) -> None:
    _become(environment)
    if log is not None:
        with log.open("wb") as file:
            os.dup2(file.fileno(), STANDARD_OUTPUT)
            os.dup2(file.fileno(), STANDARD_ERROR)
    sys.argv = list(arguments)
    runpy.run_path(arguments[0], run_name="__main__")


def _become(environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
