"""Time functions side by side in one process."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple


class Milliseconds(NamedTuple):
    """Milliseconds a call, over several rounds.

    Attributes:
        fastest: what the code can do.
        median: what it does beside other work on the machine.
    """

    fastest: float
    median: float


def milliseconds(
    functions: Mapping[str, Callable[[], object]], rounds: int, window: float = 50.0
) -> dict[str, Milliseconds]:
    """Time functions that take turns.

    Each turn calls a function as often as fits into a window, at least once, so that turns of fast
    and slow functions see the same disturbances.

    Args:
        functions: what to time, by name.
        rounds: how often each has its turn, so that noise hits all alike.
        window: about how long a turn lasts, in milliseconds.
    """
    calls = {}
    for name, function in functions.items():
        function()
        calls[name] = max(1, round(window / _turn(function, 1)))
    turns: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            turns[name].append(_turn(function, calls[name]))
    return {name: Milliseconds(min(all_), statistics.median(all_)) for name, all_ in turns.items()}


def _turn(function: Callable[[], object], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        function()
    return 1e3 * (time.perf_counter() - start) / calls
