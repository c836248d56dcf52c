"""Becomes one experiment of a launch: `python -m deep_bottleneck.launching.task FOLDER NUMBER`."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from deep_bottleneck.errors import ConfigError, RecordError, exit_on
from deep_bottleneck.launching.submission import Submission


def main(arguments: Sequence[str]) -> None:
    """Replace this process by the experiment, so that signals reach it."""
    folder, number = Path(arguments[0]), int(arguments[1])
    with exit_on(ConfigError, RecordError):
        submission = Submission.read(folder)
        command = submission.command(number)
    os.execve(command[0], command, submission.environment(number, os.environ))  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
