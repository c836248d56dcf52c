"""What to do when a scheduler tells an experiment that its time is up.

Schedulers send SIGUSR1, SIGUSR2 or SIGTERM ahead of the kill. While networks train, the epoch goes
to its end first, so that a checkpoint can be stored, unless it takes too long.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM)
PATIENCE_SECONDS = 20


class TimeIsUp(KeyboardInterrupt):
    """The experiment must end now, as after Ctrl-C; its record says TIMEOUT."""

    STATUS = "TIMEOUT"


class Preemption:
    """Hears that the time is up.

    Attributes:
        requested: whether it is.
    """

    def __init__(self) -> None:
        self.requested = False
        self._waits = False

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Hear the signals while the context lasts; call it in the main thread."""
        before = {number: signal.signal(number, self._hear) for number in SIGNALS}
        before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._end)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def at_epoch_ends(self) -> Iterator[None]:
        """Let the epoch go to its end, where `end_if_requested` is called."""
        self._waits = True
        try:
            yield
        finally:
            self._waits = False

    def end_if_requested(self) -> None:
        """End the experiment if its time is up.

        Raises:
            TimeIsUp: if it is.
        """
        if self.requested:
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise TimeIsUp

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            return
        self.requested = True
        if not self._waits:
            raise TimeIsUp
        signal.setitimer(signal.ITIMER_REAL, PATIENCE_SECONDS)

    def _end(self, number: int, frame: FrameType | None) -> None:
        raise TimeIsUp
