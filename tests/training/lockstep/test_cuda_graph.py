from contextlib import contextmanager
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import torch

from deep_bottleneck.machine.device import to_device, to_host
from deep_bottleneck.training.lockstep.cuda_graph import launcher

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="needs the torch backend"
)

CPU = torch.device("cpu")


def counter(device):
    """Adds to a number what is in a buffer."""
    total, buffer = torch.zeros(1, device=device), torch.ones(1, device=device)
    return total, buffer, lambda: total.add_(buffer)


def test_on_a_cpu_the_work_is_launched_as_it_is():
    total, _, work = counter(CPU)

    assert launcher(work, [total], CPU) is work


def test_copies_between_devices_hold_the_same():
    values = torch.arange(3.0)

    (back,) = to_host([to_device(values, CPU)])

    np.testing.assert_array_equal(back, values)
    assert to_host([]) == []


class Graphs:
    """Stands for `torch.cuda`: what is captured is done again by `replay`."""

    def __init__(self, error=None):
        self.error = error
        self.said = []

    def Stream(self):  # noqa: N802
        return SimpleNamespace(wait_stream=lambda other: None)

    current_stream = Stream

    def CUDAGraph(self):  # noqa: N802
        return SimpleNamespace(replay=lambda: self.said.append("replay"))

    @contextmanager
    def device(self, device):
        yield

    @contextmanager
    def stream(self, stream):
        self.said.append("warm up")
        self.side_stream = stream
        yield

    @contextmanager
    def graph(self, graph, stream, capture_error_mode):
        self.said.append("capture")
        assert stream is self.side_stream
        yield
        if self.error:
            raise self.error


@pytest.fixture
def graphs(monkeypatch):
    def graphs(error=None):
        stand_in = Graphs(error)
        for name in ("Stream", "current_stream", "CUDAGraph", "device", "stream", "graph"):
            monkeypatch.setattr(torch.cuda, name, getattr(stand_in, name))
        return stand_in

    return graphs


def test_work_is_tried_out_on_a_side_stream_then_captured_there_and_changes_nothing(graphs):
    stand_in = graphs()
    total, _, work = counter(CPU)

    launch = launcher(work, [total], torch.device("cuda:0"))
    launch()

    assert stand_in.said == ["warm up", "capture", "replay"]
    assert total.item() == 0.0


def test_what_cannot_be_captured_is_done_as_it_is_with_a_warning(graphs, caplog):
    graphs(RuntimeError("operation not permitted when stream is capturing\nmore"))
    total, _, work = counter(CPU)

    assert launcher(work, [total], torch.device("cuda:0")) is work
    assert total.item() == 0.0
    assert caplog.messages[0].endswith("operation not permitted when stream is capturing")


def test_too_little_memory_is_an_error(graphs):
    graphs(torch.OutOfMemoryError("too little"))
    total, _, work = counter(CPU)

    with pytest.raises(torch.OutOfMemoryError):
        launcher(work, [total], torch.device("cuda:0"))
    assert total.item() == 0.0


@pytest.mark.gpu
def test_a_graph_does_the_work_on_the_buffer_s_new_values_and_trying_it_out_changes_nothing():
    device = torch.device("cuda:0")
    total, buffer, work = counter(device)

    launch = launcher(work, [total], device)
    before = total.item()
    launch()
    buffer.fill_(10.0)
    launch()

    assert launch is not work
    assert (before, total.item()) == (0.0, 11.0)


@pytest.mark.gpu
def test_work_that_cannot_be_captured_is_launched_as_it_is(caplog):
    device = torch.device("cuda:0")
    total, buffer, _ = counter(device)

    def work():
        total.add_(buffer.item())

    launch = launcher(work, [total], device)
    launch()

    assert total.item() == 1.0
    assert "cannot be captured as a CUDA graph" in caplog.text


@pytest.mark.gpu
def test_copies_from_a_gpu_hold_the_same():
    values = [torch.arange(5.0), torch.ones(2, 3)]

    back = to_host([to_device(one, torch.device("cuda:0")) for one in values])

    for one, other in zip(values, back, strict=True):
        np.testing.assert_array_equal(one, other)
