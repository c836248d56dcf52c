"""Progress of a long loop: a bar on a terminal, now and then a log line elsewhere."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Never, Protocol

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

logger = logging.getLogger(__name__)

LINES = 10


class Progress(Protocol):
    """What a loop tells about itself."""

    def advance(self, steps: int = 1, **values: str) -> None:
        """Some steps were done; values are shown beside them."""
        ...


@contextmanager
def progress(title: str, total: int) -> Iterator[Progress]:
    """Show the progress of `total` steps while the context lasts.

    The bar goes to the terminal itself, past whoever captures standard error; where that is no
    terminal, about ten lines are logged instead.
    """
    terminal = sys.__stderr__
    if terminal is None or not terminal.isatty():
        yield _Lines(title, total)
        return
    with (
        logging_redirect_tqdm(),
        tqdm(total=total, desc=title, file=terminal, dynamic_ncols=True) as bar,
    ):
        yield _Bar(bar)


class _Bar:
    def __init__(self, bar: "tqdm[Never]") -> None:
        self._bar = bar

    def advance(self, steps: int = 1, **values: str) -> None:
        self._bar.set_postfix(values, refresh=False)
        self._bar.update(steps)


class _Lines:
    def __init__(self, title: str, total: int) -> None:
        self._title = title
        self._total = total
        self._done = 0

    def advance(self, steps: int = 1, **values: str) -> None:
        before = self._done * LINES // self._total
        self._done += steps
        if self._done * LINES // self._total > before:
            shown = "".join(f", {name} {value}" for name, value in values.items())
            logger.info("%s: %d of %d%s", self._title, self._done, self._total, shown)
