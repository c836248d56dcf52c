"""Whoever follows a page of the guide from top to bottom gets what it promises."""

import importlib.util
import re
import subprocess

import pandas as pd
import pytest
from matplotlib.image import imread
from reader import GUIDE, ROOT, clone, follow, run

__all__ = ["clone"]

pytestmark = pytest.mark.slow


@pytest.fixture
def make_pictures(tmp_path, monkeypatch):
    """The command that draws the documentation's pictures, into a folder of the test."""
    specification = importlib.util.spec_from_file_location(
        "make_pictures", ROOT / "docs" / "make_pictures.py"
    )
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    monkeypatch.setattr(module, "PICTURES", tmp_path)
    return module


def test_getting_started(clone, make_pictures, tmp_path, monkeypatch):
    follow("getting_started.md", clone)

    assert (clone / "two_planes.png").exists()
    assert (clone / "two_accuracies.png").exists()
    assert (clone / "runs" / "1" / "trust_plot_test.png").exists()
    monkeypatch.chdir(clone)
    make_pictures.artifact("1", "infoplane_test", "first_plane")
    make_pictures.two_planes("1", "2")
    make_pictures.two_accuracies("1", "2")
    page = (GUIDE / "getting_started.md").read_text()
    shown = set(re.findall(r"\(\.\./pictures/(\w+\.png)\)", page))
    assert shown == {path.name for path in tmp_path.glob("*.png")}


def test_the_picture_of_an_interactive_page(clone, make_pictures, tmp_path, monkeypatch):
    short = ["epochs=20", "architecture=[3]", "plotters=['plotter.interactive']", "seed=0"]
    run(clone, ".venv/bin/python", "run_experiments.py", "-d", "configs/basic.json", *short)
    monkeypatch.chdir(clone)

    make_pictures.interactive("1", "10")

    height, width, _ = imread(tmp_path / "interactive.png").shape
    assert width == 1400
    assert height > 500


def test_config(clone):
    follow("config.md", clone)

    measured = {path.name for path in (clone / "runs" / "2").glob("information_measures_*.csv")}
    assert {
        f"information_measures_{name}_test.csv"
        for name in ("binning", "upper", "upper_0.1", "kraskov")
    } <= measured


def test_your_data(clone):
    follow("your_data.md", clone)

    tables = (clone / "runs").glob("[0-9]*/information_measures_train.csv")
    assert len(list(tables)) == 5
    (kept,) = (clone / "runs" / "_sources").glob("patients_*.csv")
    assert kept.read_bytes() == (clone / "patients.csv").read_bytes()


def test_command_line(clone):
    follow("command_line.md", clone)

    assert (clone / "report.html").exists()
    options = re.findall(r"^\| `(--\w+)", (GUIDE / "command_line.md").read_text(), re.M)
    printed = " ".join(run(clone, ".venv/bin/python", "experiment.py", "--help"))
    assert options
    assert all(f" {option}" in printed for option in options)


def test_evaluation(clone, make_pictures, tmp_path, monkeypatch):
    follow("evaluation.md", clone)

    pictures = {path.name for path in clone.glob("*.png")}
    assert pictures == {"plane.png", "planes.png", "comparison.png", "by_activation.png"}
    monkeypatch.chdir(clone)
    monkeypatch.setattr(make_pictures, "COHORTS", clone)
    monkeypatch.setattr(make_pictures, "DOCS", tmp_path)
    (tmp_path / "results").mkdir()
    make_pictures.cohort("activations", "2", "test")
    assert (tmp_path / "activations.png").exists()
    table = pd.read_csv(tmp_path / "results" / "activations.csv")
    # the two seeds of each together; the page itself measures one of them anew
    assert {
        "activation_fn: tanh, binning, bin width 0.07",
        "activation_fn: tanh, upper, noise variance 0.001",
        "activation_fn: relu, binning, bin width 0.07",
        "activation_fn: relu, upper, noise variance 0.001",
    } <= set(table["experiment"])
    assert table["experiment"].is_unique
    assert table.columns.tolist() == ["experiment", "layer 0", "layer 1", "layer 2"]


def test_the_board_of_getting_started_answers(clone):
    (clone / "runs").mkdir()
    (command,) = re.findall(
        r"^    (.*deep_bottleneck\.board)$", (GUIDE / "getting_started.md").read_text(), re.M
    )

    with subprocess.Popen(
        ["bash", "-c", f"exec {command} --port 0"], cwd=clone, stderr=subprocess.PIPE, text=True
    ) as board:
        first_line = board.stderr.readline()
        board.terminate()

    assert "http://127.0.0.1:" in first_line
