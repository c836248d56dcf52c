"""Names of processes, by which whoever is on the same machine can tell whether they run."""

import os
from pathlib import Path

# the same for all processes that see the same numbers, and for nobody else
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NUMBERS = Path("/proc/self/ns/pid")


def this_process() -> str:
    """The name of this process, "" on a system that has no `/proc`."""
    return name_of(os.getpid())


def name_of(number: int) -> str:
    """The name of a process that is there, "" on a system that has no `/proc`.

    Its start is a part of it, since numbers are given again.

    Args:
        number: its number.
    """
    place, (_, start) = _place(), _state_and_start(number)
    return f"{place}/{number}/{start}" if place and start else ""


def is_alive(process: str) -> bool | None:
    """Whether a process runs; None for one on another machine, or before a restart: nobody knows.

    Args:
        process: its name; earlier records have it without the start.
    """
    machine, numbers, number, started = [*process.split("/"), "", "", ""][:4]
    if not number.isdecimal() or f"{machine}/{numbers}" != _place():
        return None
    try:
        os.kill(int(number), 0)
    except (OverflowError, ProcessLookupError):
        return False
    except PermissionError:
        pass  # it is somebody else's
    state, start = _state_and_start(int(number))
    # in containers it may be that nobody ever asks how a process has ended
    if state == "Z" or (started and start and started != start):
        return False
    return True if started and start else None


def _place() -> str:
    """The machine since its start, and the numbers that are valid here."""
    try:
        return f"{_BOOT.read_text().strip()}/{_NUMBERS.readlink()}"
    except OSError:
        return ""


def _state_and_start(number: int) -> tuple[str, str]:
    """The state of a process and when it started, in ticks of the clock; "" where nobody tells."""
    try:
        after_name = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "", ""
    return after_name[0], after_name[19]
