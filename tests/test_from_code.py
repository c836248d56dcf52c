"""What the documentation takes from the code is all of it, and reads as it should."""

import json
import pkgutil
import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

from deep_bottleneck import mi_estimator
from deep_bottleneck.config import Config
from deep_bottleneck.config.dataset_options import DatasetOptions

DOCS = Path(__file__).resolve().parent.parent / "docs"
GUIDE = DOCS / "guide"
RANKS = '''"""MI of ranks.

How it fails: with ties.
"""


def load(discretization_range: float = 5, ties: str = "first"):
    """An estimator.

    Args:
        discretization_range: the number of ranks.
        ties: which of them is first.
    """
'''


@pytest.fixture
def from_code(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    return import_module("from_code")


def directives(page: str, function: str) -> list[list[str]]:
    """The words behind a function's name, wherever a page puts in what it writes."""
    found = re.findall(rf"^```{{from-code}} {function}\b(.*)$", (GUIDE / page).read_text(), re.M)
    return [words.split() for words in found]


def test_each_hyperparameter_is_in_one_table_of_the_guide():
    shown = [key for keys in directives("config.md", "hyperparameters") for key in keys]

    assert sorted(shown) == sorted(Config.model_fields)


def test_tables_say_types_defaults_and_effects(from_code):
    table = from_code.hyperparameters(*Config.model_fields).splitlines()[2:]

    rows = dict(re.match(r"\| `(\w+)` \| .* \| `(.*)` \| .+ \|$", row).groups() for row in table)
    defaults = {"seed": None, **Config.parse({}).defaults()}
    assert {key: json.loads(default) for key, default in rows.items()} == defaults
    assert '| `optimizer` | `"sgd"` or `"adam"` | `"adam"` | the training algorithm |' in table


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("epochs", "whole number from 1 to 10000000"),
        ("seed", "`null` or whole number from 0 to 4294967295"),
        ("quantize_bits", "`null` or whole number from 1 to 16"),
        ("max_norm_weights", "`false` or number above 0"),
        ("keep_activations", "`true` or `false` or string"),
        ("calculate_mi_for", 'list, each `"train"`, `"test"` or `"full"`'),
        ("callbacks", 'list, each `"path"` or `["path", [arguments], {"name": argument}]`'),
    ],
)
def test_types_are_said_in_words(from_code, key, words):
    schema = Config.model_json_schema()

    assert from_code.in_words(schema["properties"][key], schema["$defs"]) == words


def test_every_option_of_data_sets_is_explained(from_code):
    rows = re.findall(r"^\| `(\w+)` \|.*\| (\S.*) \|$", from_code.dataset_options(), re.M)

    assert [key for key, _ in rows] == list(DatasetOptions.model_fields)


def test_every_plug_in_is_in_the_guide(from_code):
    kinds = [kind for (kind,) in directives("components.md", "components")]
    assert kinds == list(from_code.KINDS)

    for kind in kinds:
        package = import_module(f"deep_bottleneck.{kind}")
        sources = {
            f"{kind}.{module.name}": Path(package.__path__[0]) / f"{module.name}.py"
            for module in pkgutil.iter_modules(package.__path__)
        }
        has_load = re.compile(r"^(?:def )?load\b", re.MULTILINE)
        loadable = {path for path, file in sources.items() if has_load.search(file.read_text())}
        paragraphs = re.findall(r"^`(.+)`\n: (.+)$", from_code.components(kind), re.M)
        assert {path for path, _ in paragraphs} == loadable


def test_plug_ins_say_what_they_need_and_take(from_code):
    plotters, callbacks = from_code.components("plotter"), from_code.components("callbacks")

    assert "Brings `callbacks.gradient_logger` along." in plotters
    assert '- `measure` (default `"cka"`): "cka", "cka_rbf", "svcca" or "pwcca".' in plotters
    assert '- `monitor` (default `"val_accuracy"`): ' in callbacks
    assert "see the source" not in plotters + callbacks + from_code.components("mi_estimator")


@pytest.fixture
def ranks(tmp_path, monkeypatch):
    """An estimator that is written now, into the folder of estimators."""
    (tmp_path / "ranks.py").write_text(RANKS)
    monkeypatch.setattr(mi_estimator, "__path__", [*mi_estimator.__path__, str(tmp_path)])
    yield
    sys.modules.pop("deep_bottleneck.mi_estimator.ranks", None)
    vars(mi_estimator).pop("ranks", None)


def test_a_new_estimator_is_in_every_table_without_another_word(from_code, ranks):
    columns = ("summary", "parameter", "default", "failure")
    row = "| `mi_estimator.ranks` | MI of ranks. | the number of ranks | 5 | with ties |"

    assert row in from_code.estimators(*columns).splitlines()
    assert "\n`mi_estimator.ranks`\n: MI of ranks." in from_code.components("mi_estimator")
    assert '- `ties` (default `"first"`): ' in from_code.components("mi_estimator")


def test_the_faults_of_records_are_those_that_are_tested(from_code):
    page = (DOCS / "storage.md").read_text()

    files, readers = (from_code.record_faults(what).splitlines() for what in ("files", "readers"))

    assert "```{from-code} record_faults files" in page
    assert len(files[0].split("|")) == len(readers) + 1
    assert "| `info.json` | as ever | as ever | as ever | says so | says so |" in "".join(files)


def test_every_estimator_says_its_parameter_a_usual_value_and_how_it_fails(from_code):
    table = from_code.estimators("parameter", "default", "failure").splitlines()[2:]

    rows = {row.split("`")[1]: row.split(" | ")[1:] for row in table}
    assert rows.pop("mi_estimator.exact")[:2] == ["none", ""]
    for parameter, default, failure in rows.values():
        assert parameter.startswith(("the ", "k, "))
        assert float(default) > 0
        assert len(failure) > 20


def test_a_sign_that_ends_a_cell_does_not_end_it(from_code):
    assert from_code._table(["name"], [["|G|"]]).splitlines()[-1] == r"| \|G\| |"


def test_help_is_that_of_the_command(from_code):
    shown = from_code.help_of("deep_bottleneck.storage", "doctor")

    assert shown.startswith(
        "```text\nusage: python -m deep_bottleneck.storage doctor [-h] [--mend]"
    )


def test_every_command_with_options_is_in_the_guide():
    shown = {words[0] for words in directives("command_line.md", "help_of")}
    root = DOCS.parent
    found = {
        path.relative_to(root)
        for path in (*root.glob("*.py"), *(root / "deep_bottleneck").rglob("*.py"))
        if "argparse.ArgumentParser(" in path.read_text()
    }

    commands = {
        str(path) if path.parent == Path() else ".".join(path.with_suffix("").parts)
        for path in found
    }
    # what `run_experiments.py` and `deep_bottleneck`, which are in the guide, take theirs from
    commands -= {"deep_bottleneck.launching.command", "deep_bottleneck.launching.subcommands"}
    assert ["deep_bottleneck", "run"] in directives("command_line.md", "help_of")
    assert {command.removesuffix(".__main__") for command in commands} <= shown


def test_every_target_of_the_makefile_is_in_the_guide():
    makefile = (DOCS.parent / "Makefile").read_text()
    page = (GUIDE / "command_line.md").read_text()

    (targets,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.M)
    assert re.findall(r"^\| `make (\w+)` \|", page, re.M) == targets.split()
    for variable in re.findall(r"^(\w+) \?=", makefile, re.M):
        assert f"`{variable}`" in page
