"""Time functions side by side in one process."""

import time
from collections.abc import Callable, Mapping


def milliseconds(
    functions: Mapping[str, Callable[[], object]], rounds: int, calls: int = 1
) -> dict[str, float]:
    """Milliseconds a call, the fastest of several rounds in which the functions take turns.

    Args:
        functions: what to time, by name.
        rounds: how often each has its turn, so that noise hits all alike.
        calls: how often it is called in a turn.
    """
    fastest = dict.fromkeys(functions, float("inf"))
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            for _ in range(calls):
                function()
            elapsed = 1e3 * (time.perf_counter() - start) / calls
            fastest[name] = min(fastest[name], elapsed)
    return fastest
