"""Where the framework's script, configs and job templates are: in a clone, or installed.

They stand beside the package in a clone. Where it is installed they are in a folder of it, in the
same order, since nothing of ours belongs beside other packages.
"""

import difflib
from pathlib import Path

import deep_bottleneck
from deep_bottleneck.errors import ConfigError

EXPERIMENT_SCRIPT = "experiment.py"
_PACKAGE = Path(deep_bottleneck.__file__).resolve().parent


def home() -> Path:
    """The folder with the script that runs one experiment, `configs` and `infrastructure`."""
    installed = _PACKAGE / "home"
    return installed if installed.is_dir() else _PACKAGE.parent


def configs() -> dict[str, Path]:
    """The configs that come along, by their path below `configs` without the suffix."""
    folder = home() / "configs"
    found = sorted(folder.rglob("*.json"))
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in found}


def config(name: str) -> Path:
    """What a user calls a config: a file or folder that is there, or one that comes along.

    The latter has a name of `configs`, of which its folders may be left out where no other config
    ends in the same; folders have names as well.

    Raises:
        ConfigError: if there is none.
    """
    if Path(name).exists():
        return Path(name)
    shipped = configs()
    folder = home() / "configs" / name
    if name in shipped:
        return shipped[name]
    if folder.is_dir():
        return folder
    same = [path for path in shipped.values() if path.stem == name]
    if len(same) == 1:
        return same[0]
    words = {word: key for key, path in shipped.items() for word in (path.stem, key)}
    close = difflib.get_close_matches(name, words, n=1)
    hint = f"did you mean {words[close[0]]}?" if close else "deep-bottleneck configs lists them"
    raise ConfigError(f"{name}: no file or folder, and no config of this name comes along; {hint}")
