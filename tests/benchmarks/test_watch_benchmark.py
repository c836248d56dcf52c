import numpy as np
import pytest
import torch
from torch import nn

from benchmarks import watch as benchmark
from benchmarks.watch import Case
from deep_bottleneck import watch


@pytest.fixture
def case():
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2))
    inputs = torch.rand(30, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    return Case("small", model.eval(), inputs, np.arange(30) % 2, batch_size=8)


@pytest.mark.parametrize("representation", ["flatten", "mean"])
def test_by_hand_gives_what_a_step_gives(case, representation):
    watched = watch(case.model, (case.inputs, case.labels), estimators="binning=0.5", batch_size=8)

    layers = benchmark.captured(case, {"0": -3, "3": -1}, representation)

    assert [layer.shape for layer in layers] == [
        (30, 12 if representation == "flatten" else 3),
        (30, 2),
    ]
    if representation == "flatten":
        cost = benchmark.compared(case, watched, representation, repeats=1)
        assert min(cost) > 0
    else:
        with pytest.raises(SystemExit, match="small: a step gives"):
            benchmark.compared(case, watched, representation, repeats=1)


def test_memory_is_what_was_taken_at_most():
    size = 64 * benchmark.MIB

    taken = benchmark.peak(lambda: torch.ones(size // 4).sum())

    assert 0.9 * size < taken < 2 * size


def test_a_row_is_printed_for_each_representation(capsys, monkeypatch):
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)

    benchmark.main(["--only", "CNN", "--repeats", "1"])

    title, _, *rows = capsys.readouterr().out.splitlines()
    assert "threads" in title
    assert [row.split()[:2] for row in rows] == [["CNN", "flatten"], ["CNN", "mean"]]
