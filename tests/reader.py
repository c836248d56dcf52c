"""A reader who follows a page of the guide in a clone of the project, as it is written there."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
GUIDE = ROOT / "docs" / "guide"
FENCED = r"^```(?:{code-block} )?(\w+)\n(?::caption: (\S+)\n\n)?(.*?)^```$"
BLOCK = re.compile(rf"{FENCED}|^((?:    [^\n]*\n)+)", re.M | re.S)
INDENTED = "indented"
OF_A_SHELL = re.compile(r"(?:\w+=\S+ )*(?:\S*python|cp|docker|make|pip) ")
# so few that a training takes no longer than the imports
EPOCHS = 3


@pytest.fixture
def clone(tmp_path):
    """A folder that looks like a clone with its environment, whose configs train briefly."""
    folder = tmp_path / "deep-bottleneck"
    environment = folder / ".venv"
    environment.mkdir(parents=True)
    for path in Path(sys.prefix).iterdir():
        (environment / path.name).symlink_to(path)
    for name in ("experiment.py", "run_experiments.py", "deep_bottleneck", "benchmarks", "docs"):
        (folder / name).symlink_to(ROOT / name)
    for name in ("Makefile", "requirements"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    (environment / ".base").unlink(missing_ok=True)
    (environment / ".base").touch()
    shutil.copytree(ROOT / "configs", folder / "configs")
    for config in (folder / "configs").rglob("*.json"):
        config.write_text(shortened(config.read_text()))
    return folder


def shortened(config: str) -> str:
    """A config with fewer epochs, where it says how many."""
    values = json.loads(config)
    return json.dumps({**values, "epochs": EPOCHS}) if "epochs" in values else config


def blocks_of(page: str) -> Iterator[tuple[str, str | None, str]]:
    """Language, file name if it is a file, and content of each code block, in order.

    A block without a fence is in the language `INDENTED`.
    """
    for language, name, content, indented in BLOCK.findall((GUIDE / page).read_text()):
        yield language or INDENTED, name or None, content or textwrap.dedent(indented)


def commands_of(page: str) -> Iterator[str]:
    """Every command that a page of the guide shows, with or without what it prints."""
    for language, _, content in blocks_of(page):
        if language == "console":
            yield from re.findall(r"^\$ (.*)$", content, re.M)
        elif language == INDENTED:
            yield from (line for line in content.splitlines() if OF_A_SHELL.match(line))


def follow(page: str, clone: Path) -> None:
    """Write each file of a page and run each command and each piece of Python, in order.

    Below a command stand lines that it prints, maybe among others and with other fractions. A file
    that the page shows in pieces grows by them. Configs train for less long. Blocks without a fence
    are left out: they are files and commands that do not end or ask for more than a clone.
    """
    written: dict[str, str] = {}
    for language, name, content in blocks_of(page):
        if name:
            written[name] = written.get(name, "") + content
            shown = written[name]
            (clone / name).write_text(shortened(shown) if language == "json" else shown)
        elif language == "console":
            for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", content, re.M):
                printed = [comparable(line) for line in run(clone, "bash", "-c", command)]
                for line in shown.splitlines():
                    assert any(comparable(line) in other for other in printed), command
        elif language == "python":
            run(clone, ".venv/bin/python", "-c", content)


def comparable(line: str) -> str:
    """A line without the values of its fractions, which depend on the training, and its gaps."""
    return " ".join(re.sub(r"\d+\.\d+", "0.0", line).split())


def run(clone: Path, *command: str) -> list[str]:
    """The lines that a command prints, which has to end well."""
    own = ("DEEP_BOTTLENECK_", "MONGO_", "MAKE", "MFLAGS")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(own)}
    finished = subprocess.run(
        command,
        cwd=clone,
        env={**kept, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert finished.returncode == 0, f"{command[-1]}\n{finished.stderr}"
    return (finished.stdout + finished.stderr).splitlines()
