"""What a recorder does in a thread of its own, while training goes on."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec

import torch

P = ParamSpec("P")


class Aside:
    """Does one piece of work after the other, while its caller goes on.

    There is one piece at a time: who brings the next waits for the one before.
    """

    def __init__(self, name: str) -> None:
        """Nothing is done yet.

        Args:
            name: what the thread is called.
        """
        self._thread = ThreadPoolExecutor(
            1,
            thread_name_prefix=name,
            # else it has as many as torch happens to use when the work begins
            initializer=torch.set_num_threads,
            initargs=(torch.get_num_threads(),),
        )
        self._going_on: Future[None] | None = None

    def start(self, work: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Begin a piece of work once the one before has ended.

        Raises:
            Exception: what the one before has raised.
        """
        self.settle()
        self._going_on = self._thread.submit(work, *args, **kwargs)

    def settle(self) -> None:
        """Wait until all is done.

        Raises:
            Exception: what the work has raised.
        """
        going_on, self._going_on = self._going_on, None
        if going_on is not None:
            going_on.result()

    def end(self) -> None:
        """The same for the last time."""
        with self._thread:
            self.settle()
