"""Each row of the tables for those who come from the tools before leads to what is there."""

import json
import pkgutil
import re
import shlex
from pathlib import Path

import pytest

from deep_bottleneck.callbacks.sacred_metrics_logger import METRIC_NAMES
from deep_bottleneck.config import Config
from deep_bottleneck.eval_tools.former_names import Named, of_artifacts, of_metrics
from deep_bottleneck.launching.command import parser

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "moving.md").read_text()
COMPOSE = ROOT / "infrastructure" / "sacred_setup" / "docker-compose.yml"


def rows(heading):
    """The cells of the table below a heading, each as what stands in it between backticks."""
    section = PAGE.partition(f"# {heading}\n")[2].partition("\n#")[0]
    lines = [line.strip("|").split(" | ") for line in section.splitlines() if line[:2] == "| "]
    cells = [[re.findall(r"`([^`]+)`", cell) for cell in line] for line in lines[1:]]
    assert cells
    return [pytest.param(there, here, id=f"{heading}: {there[0]}") for there, here in cells]


def found(name):
    """What a name of the second column leads to."""
    if name.startswith('"'):
        return Config.parse(json.loads(f"{{{name}}}"))
    if not name.startswith("deep_bottleneck."):
        path = ROOT / name
        return path.with_name(f"{path.name}.example") if path.name == ".env" else path
    return pkgutil.resolve_name(name)


@pytest.mark.parametrize(("there", "here"), rows("Paths that still lead somewhere"))
def test_a_path_of_before_leads_to_the_same_as_that_of_now(there, here):
    assert found(*there) is found(*here)


@pytest.mark.parametrize(
    ("there", "here"),
    [
        *rows("Called otherwise"),
        *rows("deep-ei"),
        *rows("torch-foresight"),
        *rows("TensorState"),
    ],
)
def test_a_name_of_now_is_there(there, here):
    assert here
    for name in here:
        is_there = found(name)
        assert is_there.exists() if isinstance(is_there, Path) else is_there


@pytest.mark.parametrize(("there", "here"), rows("Config keys"))
def test_a_config_of_before_is_one_of_now(there, here):
    assert found(*there) == found(*here)


@pytest.mark.parametrize(("there", "here"), rows("Artifacts"))
def test_an_artifact_is_found_by_both_names(there, here):
    assert Named(dict.fromkeys(here, 1), of_artifacts)[there[0]] == 1
    assert Named(dict.fromkeys(there, 1), of_artifacts)[there[0]] == 1


@pytest.mark.parametrize(("there", "here"), rows("Metrics"))
def test_a_metric_is_found_by_both_names(there, here):
    assert set(here) <= set(METRIC_NAMES.values())
    assert Named(dict.fromkeys(here, 1), of_metrics)[there[0]] == 1
    assert Named(dict.fromkeys(there, 1), of_metrics)[here[0]] == 1


@pytest.mark.parametrize(("there", "here"), rows("Commands"))
def test_a_command_of_now_is_one_that_the_project_has(there, here):
    for program, *words in map(shlex.split, here):
        if program == "docker":
            assert COMPOSE.exists()
        elif words[0] == "run_experiments.py":
            options = parser().parse_args(words[1:])
            assert options.status or options.configs.exists()
        elif words[0] == "-m":
            assert pkgutil.resolve_name(words[1])
        else:
            assert all(
                (ROOT / word).exists() for word in words if "/" in word or word[-3:] == ".py"
            )


@pytest.mark.parametrize(("there", "here"), rows("Commands")[:2])
def test_options_of_before_mean_what_those_of_now_do(there, here):
    before, now = (parser().parse_args(shlex.split(*command)[2:]) for command in (there, here))

    assert before.configs == now.configs
    assert {before.launcher, now.launcher} <= {None, "local"}
