"""What the version before has stored is found, shown, estimated again and resumed.

`stored/before/complete` kept its activations; `stored/before/unfinished` was ended in the middle.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from deep_bottleneck import report
from deep_bottleneck.board.app import create_app
from deep_bottleneck.eval_tools import ExperimentLoader
from deep_bottleneck.measuring.tables import read_table
from deep_bottleneck.pipeline.reestimation import reestimate

ROOT = Path(__file__).resolve().parent.parent
STORED = ROOT / "tests" / "stored" / "before"


@pytest.fixture
def runs(tmp_path):
    shutil.copytree(STORED / "complete", tmp_path / "runs" / "1")
    shutil.copytree(STORED / "unfinished", tmp_path / "runs" / "2")
    return tmp_path / "runs"


def test_they_are_found_and_their_tables_are_told_apart(runs):
    loader = ExperimentLoader(path=runs)

    complete, unfinished = loader.find_all()
    assert (complete.status, unfinished.status) == ("COMPLETED", "TIMEOUT")
    assert loader.find_by_config_key("epochs", "3000").ids == [2]
    table = complete.information_measures("upper", part="train")
    assert set(table["parameter"]) == {"noise variance 0.1"}
    assert set(table["module"]) == {"upper"}


def test_the_board_and_the_report_show_them(runs, tmp_path):
    client = create_app(ExperimentLoader(path=runs)).test_client()
    report.main([str(runs), "-o", str(tmp_path / "report.html")])

    for address in ("/", "/experiments/1", "/experiments/2"):
        assert client.get(address).status_code == 200
    assert "TIMEOUT" in (tmp_path / "report.html").read_text()


def test_they_are_estimated_again(runs):
    before = read_table((runs / "1" / "information_measures_binning_test.csv").read_bytes())

    added = reestimate(runs / "1", [["mi_estimator.binning", 0.3], ["mi_estimator.lower", 0.1]])

    assert {"information_measures_binning_0.3_test", "trust_lower_0.1_train"} <= set(added)
    again = read_table((runs / "1" / "information_measures_binning_0.3_test.csv").read_bytes())
    pd.testing.assert_frame_equal(again[before.columns], before)


@pytest.mark.slow
def test_one_that_goes_on_says_that_its_checkpoint_is_of_before_and_starts_anew(runs, tmp_path):
    environment = {
        **os.environ,
        "DEEP_BOTTLENECK_RUNS": str(runs),
        "DEEP_BOTTLENECK_CONTINUE": str(runs / "2"),
    }
    config = str(runs / "2" / "config.json")
    command = [sys.executable, str(ROOT / "experiment.py"), "with", config, "epochs=3"]

    result = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )

    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    (told,) = [line for line in result.stderr.splitlines() if "checkpoint" in line]
    assert "training starts anew" in told
    experiment = ExperimentLoader(path=runs).find_by_id(3)
    assert experiment.status == "COMPLETED"
    assert len(experiment.information_measures()) == 9
