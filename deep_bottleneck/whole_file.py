"""Files that are replaced at once, so that nobody sees them half-written, also after a kill."""

from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> None:
    """Write beside a file, and put what is written in its place.

    Args:
        path: the file, which need not exist.
        content: bytes, or text for UTF-8.
    """
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        unfinished.write_bytes(content.encode() if isinstance(content, str) else content)
        unfinished.replace(path)
    except OSError:
        # on a full disk a part of a file takes the space that others need
        unfinished.unlink(missing_ok=True)
        raise
