"""The script that is submitted to Grid Engine by hand, run by a shell as a node runs it."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("given", "called"),
    [
        (
            ["mine", "configs/mnist/saxe.json", "seed=3"],
            "experiment.py --name mine with configs/mnist/saxe.json seed=3",
        ),
        ([], "experiment.py --name noname with configs/basic.json"),
    ],
)
def test_the_script_that_is_submitted_by_hand_runs_one_experiment(tmp_path, given, called):
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$OMP_NUM_THREADS $@"\n')
    python.chmod(0o755)

    command = ["bash", ROOT / "infrastructure" / "grid" / "experiment.sge", *given]
    environment = {"PATH": "/usr/bin:/bin", "NSLOTS": "2"}
    printed = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )

    assert printed.stdout == f"2 {called}\n"
    assert (ROOT / called.split()[4]).is_file()
