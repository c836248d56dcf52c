"""Every command and example of the README, and of the guide to functions, works as it stands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
FUNCTIONS = (ROOT / "docs" / "guide" / "library.md").read_text()


def blocks(language: str, page: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, flags=re.DOTALL)


EXAMPLES = [block for block in blocks("python") if "ExperimentLoader" not in block]


@pytest.fixture
def run(tmp_path):
    def run(*arguments, cwd=ROOT):
        folders = {
            "DEEP_BOTTLENECK_RUNS": str(tmp_path / "runs"),
            "DEEP_BOTTLENECK_OUTPUT": str(tmp_path / "output"),
        }
        environment = {**os.environ, **folders, "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True
        )

    return run


def test_the_first_config_runs(run, tmp_path):
    config = tmp_path / "first.json"
    config.write_text(blocks("json")[0])

    result = run("run_experiments.py", "-d", str(config), "epochs=5")
    printed = run("experiment.py", "print_config", "with", str(config))

    assert result.returncode == 0, result.stderr
    assert printed.returncode == 0, printed.stderr


def test_it_is_read_at_a_glance():
    assert len(README.splitlines()) < 150


@pytest.mark.parametrize("example", [*EXAMPLES, *blocks("python", FUNCTIONS)])
def test_examples_run(run, example, tmp_path):
    result = run("-c", example, cwd=tmp_path)

    assert result.returncode == 0, result.stderr


@pytest.mark.slow
def test_stored_experiments_are_compared(run, tmp_path):
    (example,) = [block for block in blocks("python") if "ExperimentLoader" in block]
    for seed in (0, 1):
        run("run_experiments.py", "-d", "configs/basic.json", "epochs=5", f"seed={seed}")

    result = run("-c", example, cwd=tmp_path)

    assert result.returncode == 0, result.stderr
    assert "test.accuracy_best" in result.stdout
    assert {path.name for path in tmp_path.glob("*.png")} == {"comparison.png", "planes.png"}


def test_commands_are_those_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text()

    for target in re.findall(r"make (\w+)", README):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_linked_files_exist():
    for link in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / link).exists(), link
