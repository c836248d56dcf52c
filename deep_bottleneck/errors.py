"""What can go wrong, as a small tree of exceptions."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class DeepBottleneckError(Exception):
    """The root of every error this package raises on purpose."""


class ConfigError(DeepBottleneckError):
    """A mistake in the configuration: it ends in one sentence, without a traceback."""


class DataError(DeepBottleneckError):
    """A data set that cannot be loaded or does not have the shape it should have."""


class EstimationError(DeepBottleneckError):
    """A measure that is not defined for the values it was given."""


class RecordError(DeepBottleneckError):
    """A stored record that cannot be read or written."""


class MissingTableError(RecordError):
    """An experiment that has no table of the kind that is asked for."""


class StoreGoneError(RecordError):
    """A store of experiments that does not answer, or lets nobody in."""


class DiskFullError(RecordError):
    """A record that cannot be written because there is no space left."""


class SchedulerError(DeepBottleneckError):
    """A scheduler of a cluster that refuses what it is asked, or does not answer."""


class OutOfRangeWarning(UserWarning):
    """Some values lie outside the range they are binned on."""


class UnresolvedWarning(UserWarning):
    """There are more states than the samples can tell apart."""


# of a program: for a mistake in the command or in a config, and on a full disk
EXIT_MISTAKE = 2
EXIT_DISK_FULL = 74


@contextmanager
def exit_on(*kinds: type[DeepBottleneckError]) -> Iterator[None]:
    """End the program with one sentence where one of these errors is raised.

    The exit status is 74 on a full disk, and else 2.
    """
    try:
        yield
    except kinds as error:
        sys.stderr.write(f"error: {error}\n")
        status = EXIT_DISK_FULL if isinstance(error, DiskFullError) else EXIT_MISTAKE
        raise SystemExit(status) from None
