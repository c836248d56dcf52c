"""The classic experiment at full length shows what the literature shows."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from deep_bottleneck.eval_tools import ExperimentLoader

ROOT = Path(__file__).resolve().parent.parent
LAST_HIDDEN, READOUT = 4, 5
# tests let XLA compile in a hurry; what trains for minutes does so as it does for users
OF_TESTS = ("XLA_FLAGS", "MONGO_URI")


def full_length(folder, activation_fn):
    """The metrics at the last epoch, and what the layers know on average over runs."""
    outside = {name: value for name, value in os.environ.items() if name not in OF_TESTS}
    updates = [f"activation_fn={activation_fn}", "calculate_mi_for=['full']", "plotters=[]"]
    subprocess.run(
        [sys.executable, "experiment.py", "with", "configs/tishby.json", *updates],
        cwd=ROOT,
        env={**outside, "DEEP_BOTTLENECK_RUNS": str(folder)},
        check=True,
    )
    experiment = ExperimentLoader(path=folder).find_by_id(1)
    table = pd.read_csv(folder / "1" / "information_measures_full.csv")
    mean = table.groupby(["layer", "epoch"])[["MI_XM", "MI_YM"]].mean()
    return {name: values.iloc[-1] for name, values in experiment.metrics.items()}, mean


@pytest.mark.slow
def test_tanh_fits_then_compresses(tmp_path):
    metrics, mean = full_length(tmp_path, "tanh")

    about_input = mean.loc[LAST_HIDDEN, "MI_XM"]
    # a hand-written loop of the same experiment gave 7.2, at most 8.4 and finally 3.7 bits; one
    # standard error over five runs is about 0.7 bits
    assert about_input.iloc[0] == pytest.approx(7.2, abs=1.5)
    assert about_input.iloc[:60].max() == pytest.approx(8.4, abs=1.5)
    assert about_input.iloc[-1] == pytest.approx(3.7, abs=1.5)
    assert mean.loc[0, "MI_XM"].min() > 11.9
    assert mean.loc[READOUT, "MI_YM"].iloc[0] < 0.1
    assert mean.loc[READOUT, "MI_YM"].iloc[-1] > 0.9
    assert metrics["training.accuracy"] > 0.99
    assert metrics["test.accuracy"] > 0.95


@pytest.mark.slow
def test_relu_does_not_compress(tmp_path):
    _, mean = full_length(tmp_path, "relu")

    about_input = mean.loc[LAST_HIDDEN, "MI_XM"]
    assert about_input.iloc[-1] > 6.8
    assert about_input.iloc[-1] > about_input.iloc[20] - 1
