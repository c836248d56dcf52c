import numpy as np
import pytest
import torch

from deep_bottleneck.cuda_graph import launcher, to_device, to_host

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
