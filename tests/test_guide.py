"""What the user guide shows works as it stands."""

import os
import re
import shlex
import subprocess
import sys
from importlib import import_module

import pytest
from reader import GUIDE, ROOT, blocks_of, commands_of

import run_experiments
from deep_bottleneck.launching.command import parser
from deep_bottleneck.launching.plan import LaunchPlan


@pytest.fixture
def run(tmp_path):
    """Run the framework's command in a folder that is not its own."""

    def run(*arguments):
        return subprocess.run(
            [sys.executable, str(ROOT / "run_experiments.py"), *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
            capture_output=True,
            text=True,
        )

    return run


def write_files_of(page, folder):
    files = [(name, content) for _, name, content in blocks_of(page) if name]
    for name, content in files:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(content)


@pytest.mark.slow
def test_plug_ins_of_the_reader_work_together(run, tmp_path):
    write_files_of("plug_ins.md", tmp_path)

    result = run("-d", "moons.json", "--launcher", "my_lab.politely")

    assert result.returncode == 0, result.stderr
    record = tmp_path / "runs" / "1"
    assert {path.name for path in record.iterdir()} >= {
        "final_information.png",
        "information_measures_nearest_mean_test.csv",
        "infoplane_binning_test.png",
    }
    assert "the nearest class mean says nothing about it" in (record / "cout.txt").read_text()
    assert "1 completed" in run("--status").stdout


def test_the_command_of_the_plug_ins_is_the_one_that_was_tried():
    (command,) = commands_of("plug_ins.md")

    assert command.endswith("run_experiments.py -d moons.json --launcher my_lab.politely")


def commands():
    """Every command of the user guide, but for those that show a mistake."""
    index = (GUIDE.parent / "index.md").read_text()
    found = re.findall(r":caption: (?:Getting started|User guide)\n\n(.*?)```", index, re.S)
    pages = [page for page in " ".join(found).split() if page != "guide/troubleshooting"]
    return [
        pytest.param(command, id=f"{page}: {command}")
        for page in pages
        for command in commands_of(f"../{page}.md")
    ]


@pytest.mark.parametrize("command", commands())
def test_each_command_of_the_guide_is_one_that_the_project_has(command, monkeypatch):
    monkeypatch.syspath_prepend(str(GUIDE.parent))
    help_of = import_module("from_code").help_of
    words = [
        word for word in shlex.split(command, comments=True) if not re.match(r"[A-Z_]+=", word)
    ]
    program, *rest = words

    if program in ("cp", "docker"):
        assert (ROOT / "infrastructure" / "sacred_setup" / ".env.example").exists()
        assert (ROOT / "infrastructure" / "sacred_setup" / "docker-compose.yml").exists()
    elif program == "make":
        assert re.search(rf"^{rest[0]}:", (ROOT / "Makefile").read_text(), re.M)
    elif program in ("qsub", "qstat"):
        assert all((ROOT / word).exists() for word in rest if "/" in word)
    elif program == "pip":
        assert (ROOT / rest[-1]).exists()
    elif rest[:2] == ["-m", "pytest"]:
        assert f'"{rest[-1]}: ' in (ROOT / "pyproject.toml").read_text()
    elif rest[0] == "-m":
        shown = help_of(rest[1])
        if rest[2:] and re.search(rf"(\{{|^    ){re.escape(rest[2])}\b", shown, re.M):
            shown += help_of(rest[1], rest[2])
        assert all(word in shown for word in rest[2:] if word.startswith("-"))
    elif rest[0].endswith("run_experiments.py"):
        options = parser().parse_args(rest[1:])
        assert (
            options.configs is None or len(options.configs.parts) == 1 or options.configs.exists()
        )
    else:
        assert rest[0] in ("experiment.py", "compare_two.py", "evaluation.py")


TROUBLE = (GUIDE / "troubleshooting.md").read_text()
IN_PROCESS = "python run_experiments.py "
MISTAKES = re.findall(r"```console\n\$ (.*)\n(.*)\n```", TROUBLE)


@pytest.mark.parametrize(
    ("command", "sentence"),
    [(c.removeprefix(IN_PROCESS), s) for c, s in MISTAKES if c.startswith(IN_PROCESS)],
)
def test_a_mistake_ends_in_the_sentence_of_the_guide(command, sentence, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)

    with pytest.raises(SystemExit) as end:
        raise SystemExit(run_experiments.main(shlex.split(command)))

    assert end.value.code == 2
    printed = capsys.readouterr()
    assert sentence in printed.out + printed.err


@pytest.mark.parametrize(
    ("command", "sentence"), [(c, s) for c, s in MISTAKES if not c.startswith(IN_PROCESS)]
)
def test_other_commands_end_in_the_sentence_of_the_guide(command, sentence, tmp_path):
    command = command.replace("python", shlex.quote(sys.executable), 1)
    environment = {**os.environ, "DEEP_BOTTLENECK_RUNS": str(tmp_path / "runs")}

    ended = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True
    )

    assert ended.returncode == 2
    assert any(line.startswith(sentence) for line in ended.stderr.splitlines())


@pytest.mark.parametrize("page", ["config.md", "evaluation.md"])
def test_configs_of_the_guide_have_no_mistakes(page, tmp_path):
    write_files_of(page, tmp_path)

    plan = LaunchPlan.make(tmp_path, updates=[], only=[], thorough=True)

    assert plan.experiments
    assert not plan.has_mistakes, plan.table()
