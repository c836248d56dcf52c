"""Names of processes, by which whoever is on the same machine can tell that one has ended."""

import os
from pathlib import Path

# the same for all processes that see the same numbers, and for nobody else
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NUMBERS = Path("/proc/self/ns/pid")


def this_process() -> str:
    """The name of this process, "" on a system that has no `/proc`."""
    return _name(os.getpid())


def is_gone(process: str) -> bool:
    """Whether a process has ended; of one on another machine, or before a restart, nobody knows.

    Args:
        process: its name.
    """
    number = process.rpartition("/")[2]
    if not number.isdecimal() or process != _name(int(number)):
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _is_zombie(int(number))


def _is_zombie(number: int) -> bool:
    """Whether a process has ended, but nobody has asked how; in containers nobody may ever ask."""
    try:
        after_name = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2]
    except OSError:
        return False
    return after_name.split()[0] == "Z"


def _name(number: int) -> str:
    try:
        return f"{_BOOT.read_text().strip()}/{_NUMBERS.readlink()}/{number}"
    except OSError:
        return ""
