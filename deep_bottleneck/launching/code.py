"""Which code a launch runs: its commit, what it differs from that in, and a copy of it."""

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

import git

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.launching.submission import Submission
from deep_bottleneck.machine.environment import ENV_PATH

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CodeState:
    """The code of a folder.

    Attributes:
        commit: its commit, "" where the folder is in no repository.
        diff: what it differs in from the commit, new files as their names.
    """

    commit: str = ""
    diff: str = ""

    @classmethod
    def of(cls, root: Path) -> "CodeState":
        """Look at the repository of a folder."""
        try:
            repository = git.Repo(root, search_parent_directories=True)
            commit = repository.head.commit.hexsha
        except (git.InvalidGitRepositoryError, git.NoSuchPathError, ValueError):
            logger.warning("%s is in no git repository: the commit cannot be recorded", root)
            return cls()
        new = "".join(f"new file: {path}\n" for path in repository.untracked_files)
        changes = repository.git.diff("HEAD")
        return cls(commit, new + (f"{changes}\n" if changes else ""))


def copy_code(submission: Submission) -> Path:
    """Copy the code into the folder of a launch, without what git ignores.

    The settings of a database, which git ignores, are reached by a link.

    Args:
        submission: the launch.

    Returns:
        The copy of the script that runs one experiment.

    Raises:
        ConfigError: if the package is installed, and so in no clone.
    """
    root = submission.script.parent
    if not (root / "deep_bottleneck").is_dir():
        raise ConfigError(
            f"--snapshot copies the code of a clone, but the package is installed in {root.parent}"
        )
    target = submission.folder / "code"
    for name in _files(root):
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, copy)
    if (root / ENV_PATH).exists():
        (target / ENV_PATH).parent.mkdir(parents=True, exist_ok=True)
        (target / ENV_PATH).symlink_to(root / ENV_PATH)
    return target / submission.script.name


def _files(root: Path) -> list[str]:
    try:
        listed = git.Git(root).ls_files("-z", "--cached", "--others", "--exclude-standard")
    except git.GitCommandError:
        package = (root / "deep_bottleneck").rglob("*")
        files = [path for path in package if path.is_file() and path.suffix != ".pyc"]
        return ["experiment.py", *(str(path.relative_to(root)) for path in files)]
    return [name for name in listed.split("\0") if name and (root / name).is_file()]
