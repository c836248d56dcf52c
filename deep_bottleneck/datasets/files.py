"""Where data sets that do not come with the project are looked for."""

import os
from pathlib import Path

from deep_bottleneck.errors import ConfigError

FOLDER_VARIABLE = "DEEP_BOTTLENECK_DATA"


def local_file(name: str) -> Path | None:
    """The path of a file in the folder that `DEEP_BOTTLENECK_DATA` names; None if it names none."""
    folder = os.environ.get(FOLDER_VARIABLE)
    return Path(folder) / name if folder else None


def own_file(name: str) -> Path:
    """The path of a user's file: as it stands, or else in the folder of `local_file`.

    Raises:
        ConfigError: if there is no such file in either.
    """
    looked_for = [Path(name), *filter(None, [local_file(name)])]
    for path in looked_for:
        if path.is_file():
            return path
    places = " and no ".join(str(path.absolute()) for path in looked_for)
    raise ConfigError(f'"dataset": there is no file {places}')


def unavailable(title: str, absent: Path | None, wanted: str, error: Exception) -> str:
    """The sentence for a data set that is neither in the folder nor to be downloaded.

    Args:
        title: the name of the data set.
        absent: what `local_file` gave.
        wanted: the file to put into the folder, and in which format.
        error: why the download failed; the message of a library's download names the address.
    """
    looked_in = (
        f"there is no {absent}" if absent else f"{FOLDER_VARIABLE} names no folder to look in"
    )
    return (
        f"{title} cannot be downloaded, and {looked_in}: put {wanted}, into a folder and name that "
        f"in {FOLDER_VARIABLE} ({error})"
    )
