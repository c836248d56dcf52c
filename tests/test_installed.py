"""What is built and installed works in any folder, without the clone it was built from."""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BUILT_FROM = (
    *("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"),
    *("experiment.py", "run_experiments.py", "configs", "infrastructure", "deep_bottleneck"),
    *("docs", "CITATION.cff"),
)

pytestmark = pytest.mark.slow


def call(*words, cwd, **environment):
    kept = {name: v for name, v in os.environ.items() if not name.startswith(("DEEP_", "MONGO"))}
    ended = subprocess.run(
        words, cwd=cwd, env={**kept, **environment}, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the package as it is installed from its sdist, which needs no network."""
    folder = tmp_path_factory.mktemp("installed")
    clone = folder / "clone"
    clone.mkdir()
    for name in BUILT_FROM:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, clone / name)
    build = "from setuptools import build_meta; build_meta.build_sdist('..')"
    call(sys.executable, "-c", build, cwd=clone)
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "sdist", filter="data")
    (source,) = (folder / "sdist").iterdir()
    pip = (sys.executable, "-m", "pip", "--quiet")
    options = ("--no-deps", "--no-build-isolation", "--no-index")
    call(*pip, "wheel", *options, "--wheel-dir", str(folder), str(source), cwd=folder)
    (wheel,) = folder.glob("*.whl")
    call(*pip, "install", *options, "--target", str(folder / "there"), str(wheel), cwd=folder)
    shutil.rmtree(clone)
    return folder / "there"


@pytest.fixture
def command(installed, tmp_path):
    """The command that the wheel brings, in an empty folder."""

    def command(*words):
        script = str(installed / "bin" / "deep-bottleneck")
        return call(sys.executable, script, *words, cwd=tmp_path, PYTHONPATH=str(installed))

    return command


def test_a_wheel_has_all_configs_and_nothing_beside_the_package(command, installed):
    names = command("configs").split()

    assert len(names) == len(list((ROOT / "configs").rglob("*.json")))
    folders = {path.name for path in installed.iterdir() if path.suffix != ".dist-info"}
    assert folders == {"bin", "deep_bottleneck"}
    page = installed / "deep_bottleneck" / "board" / "templates" / "index.html"
    assert page.exists()


def test_an_experiment_runs_and_is_found_again(command, installed, tmp_path):
    said = command("run", "basic", "epochs=2", "n_runs=1")

    assert "Experiment 1: COMPLETED" in said
    assert (tmp_path / "runs" / "1" / "infoplane_test.png").exists()
    record = (tmp_path / "runs" / "1" / "run.json").read_text()
    assert str(installed / "deep_bottleneck" / "home") in record
    assert str(ROOT) not in record
    assert "1 of 1 experiments are stored as completed" in command(
        "run", "basic", "epochs=2", "n_runs=1", "--resume"
    )
    assert "1 experiments: report.html" in command("report", "runs")


def test_several_run_at_a_time_and_a_cluster_finds_its_job_script(command, tmp_path):
    (tmp_path / "sweep.json").write_text(
        '{"epochs": 2, "architecture": [3], "grid": {"seed": [0, 1]}}'
    )

    assert command("run", "sweep.json", "--jobs", "2").count("COMPLETED") >= 2
    assert "@misc{shwartz-ziv2017," in command("cite", "tishby")
    assert "#SBATCH" in command("run", "basic", "--launcher", "slurm", "--dry-run")
