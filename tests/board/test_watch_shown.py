"""A watch is shown like any experiment."""

import pytest
import torch
from torch import nn

from deep_bottleneck import report, watch
from deep_bottleneck.board.app import create_app
from deep_bottleneck.eval_tools import ExperimentLoader


@pytest.fixture
def runs(tmp_path):
    """A folder of records with that of a watch."""
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    data = torch.rand(40, 4), torch.arange(40) % 2
    watched = watch(model, data, estimators="binning=0.2", measures=["efficiency"])
    watched.step(accuracy=0.5)
    watched.save(tmp_path)
    return tmp_path


def test_the_board_shows_a_watch(runs):
    client = create_app(ExperimentLoader(path=runs)).test_client()
    headers = {"Host": "127.0.0.1"}

    index = client.get("/", headers=headers)
    shown = client.get("/experiments/1", headers=headers)
    with client.get("/experiments/1/files/infoplane_full", headers=headers) as plane:
        picture = plane.data

    assert (index.status_code, shown.status_code) == (200, 200)
    assert "COMPLETED" in index.text
    assert "Experiment 1: watch" in shown.text
    assert all(name in shown.text for name in ("infoplane_full", "trust_plot_full", "accuracy"))
    assert "aIQ" not in shown.text  # it needs a val_accuracy, which nobody told
    assert picture.startswith(b"\x89PNG")


def test_the_report_shows_a_watch(runs, tmp_path):
    page = report.page(ExperimentLoader(path=runs).find_all(), runs, tmp_path)

    assert "1 experiment" in page
    assert "COMPLETED" in page
    assert "1/infoplane_full.png" in page
