"""The command `deep-bottleneck`: one word for each thing to do, and configs by their names."""

import subprocess
import sys

import pytest

from deep_bottleneck import __main__
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.launching import command, home


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A folder that is no clone, with a record and launches of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DEEP_BOTTLENECK_RUNS", raising=False)
    monkeypatch.delenv("DEEP_BOTTLENECK_OUTPUT", raising=False)
    return tmp_path


def said(capsys, *words):
    assert __main__.main(words) == 0
    return capsys.readouterr().out


def test_configs_that_come_along_are_listed_and_found_by_what_is_listed(elsewhere, capsys):
    names = said(capsys, "configs").split()

    assert {"basic", "tishby", "estimators/tishby", "cohorts/cohort_05"} <= set(names)
    assert all(home.config(name).is_file() for name in names)
    assert home.config("cohort_05") == home.config("cohorts/cohort_05")
    assert home.config("cohorts").is_dir()


def test_a_config_that_is_there_wins_over_one_that_comes_along(elsewhere):
    (elsewhere / "basic").mkdir()

    assert home.config("basic").resolve() == elsewhere / "basic"
    with pytest.raises(ConfigError, match="did you mean mnist/saxe"):
        home.config("saxes")


def test_an_experiment_is_checked_by_the_name_of_its_config(elsewhere, capsys):
    words = ["run", "--only", "activation_fn=elu", "cohort_05", "epochs=3", "--dry-run"]

    assert "1 experiments" in said(capsys, *words)


@pytest.mark.parametrize(
    ("words", "attributes"),
    [
        (["run", "tishby", "--resume", "seed=1"], {"config": "tishby", "resume": True}),
        (["run", "--jobs", "2", "x.json"], {"config": "x.json", "jobs": 2, "updates": []}),
        (["resume", "--dry-run"], {"resume": True, "dry_run": True, "config": None}),
        (["status"], {"status": True, "resume": None, "only": ()}),
        (["cancel"], {"cancel": True}),
        (["reestimate", "7", "--estimator", "x=1"], {"reestimate": "7", "estimator": ["x=1"]}),
    ],
)
def test_each_word_is_an_option_of_run_experiments(words, attributes, monkeypatch):
    read = []
    monkeypatch.setattr(
        command, "carried_out", lambda parser, rest, _: read.append((parser, rest)) or 0
    )

    assert __main__.main(words) == 0

    ((parser, rest),) = read
    found = command.Command.read(parser, rest)
    assert {name: getattr(found, name) for name in attributes} == attributes


def test_other_words_go_to_the_commands_of_their_modules(elsewhere, capsys):
    (elsewhere / "runs").mkdir()
    assert "nothing was launched" in said(capsys, "status")
    assert "Everything is in order" in said(capsys, "doctor")
    for words in (["--help"], ["board", "--help"], ["report", "--help"], ["storage", "--help"]):
        with pytest.raises(SystemExit) as end:
            __main__.main(words)
        assert end.value.code == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["run", "tishy"], "did you mean tishby?"),
        (["run", "tishby", "--epochs", "5"], "there is no option --epochs: write epochs=5"),
        (["run", "tishby", "--epochs=5"], "write epochs=5"),
        (["rnu"], "invalid choice: 'rnu'"),
    ],
)
def test_a_slip_ends_in_a_sentence(elsewhere, capsys, words, sentence):
    with pytest.raises(SystemExit) as end:
        __main__.main(words)

    assert end.value.code == 2
    assert sentence in capsys.readouterr().err


def test_python_m_is_the_same_command(elsewhere):
    ended = subprocess.run(
        [sys.executable, "-m", "deep_bottleneck", "--help"], capture_output=True, text=True
    )

    assert ended.returncode == 0
    assert all(f"\n    {name}" in ended.stdout for name in __main__.COMMANDS)
