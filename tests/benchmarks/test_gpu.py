import pytest
import torch

from benchmarks import gpu
from deep_bottleneck.datasets import harmonics

CPU = torch.device("cpu")


def test_without_a_gpu_it_ends_in_one_line(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    with pytest.raises(SystemExit, match="needs a CUDA device") as exit_:
        gpu.main([])

    assert "\n" not in str(exit_.value)


@pytest.mark.slow
def test_every_measurement_runs_on_a_cpu():
    reached = gpu.peak(CPU, size=64, repeats=1)

    assert reached.operations > 0
    assert reached.bytes > 0
    assert gpu.epoch(CPU, harmonics.load(), n_runs=2, repeats=1) > 0
    assert gpu.drawing(harmonics.load(), n_runs=2, repeats=1) > 0
    assert gpu.bounds(CPU, 64, n_runs=2, repeats=1) > 0
    assert gpu.neighbours(CPU, 64, n_runs=2, repeats=1) > 0
    assert gpu.effective_information(CPU, n_units=4, samples=100, repeats=1) > 0


@pytest.mark.gpu
def test_the_tables_are_printed(capsys):
    gpu.main(["--runs", "2", "--examples", "256", "--layer-runs", "2", "--repeats", "1"])

    printed = capsys.readouterr().out
    assert "model.fit, 1 run" in printed
    assert "KSG, N = 256" in printed
    assert "Linear(1000, 1000)" in printed
