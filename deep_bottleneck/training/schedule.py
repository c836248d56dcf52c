"""At which epochs to record: often while much changes, seldom later."""

from collections.abc import Callable

import numpy as np

from deep_bottleneck.interfaces import BoolArray, IntArray

Schedule = Callable[[int], bool]


def default_schedule(epoch: int) -> bool:
    """Whether to record this epoch: every one below 50, every 2nd below 100, every 20th below 2000.

    From 2000 on every 100th. The epoch with which a run ends is recorded besides, whatever the
    schedule says.

    Args:
        epoch: the epoch, from 0.
    """
    if epoch < 50:
        return True
    if epoch < 100:
        return epoch % 2 == 0
    if epoch < 2000:
        return epoch % 20 == 0
    return epoch % 100 == 0


def due_runs(schedule: Schedule, epoch: int, stopping: BoolArray) -> IntArray:
    """Which runs of a group to record after an epoch.

    Args:
        schedule: the epochs to record.
        epoch: the epoch.
        stopping: which of the runs end with it, shape (runs,).

    Returns:
        The positions of the runs in the group: all at a scheduled epoch, else those that end.
    """
    return np.arange(len(stopping)) if schedule(epoch) else np.flatnonzero(stopping)
