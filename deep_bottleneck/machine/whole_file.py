"""Files that are replaced at once, so that nobody sees them half-written, also after a kill."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# what the names of files end in that are not in their place yet
UNFINISHED = ".unfinished"
_LONGEST = 50


def write_whole(path: Path, content: str | bytes) -> None:
    """Write beside a file, and put what is written in its place.

    Args:
        path: the file, which need not exist.
        content: bytes, or text for UTF-8.
    """
    with in_place_of(path) as unfinished:
        unfinished.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def in_place_of(path: Path) -> Iterator[Path]:
    """A path beside a file; what is written there takes the file's place when the context ends.

    Nobody else is given the same path: of several that write at once the last one wins.
    """
    name = f".{path.name[:_LONGEST]}.{secrets.token_hex(4)}{UNFINISHED}"
    unfinished = path.with_name(name)
    try:
        yield unfinished
        unfinished.replace(path)
    except BaseException:
        # on a full disk a part of a file takes the space that others need
        unfinished.unlink(missing_ok=True)
        raise
