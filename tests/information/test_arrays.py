import numpy as np
import pytest
import torch

from deep_bottleneck.information.arrays import as_tensor


@pytest.mark.parametrize("view", [np.s_[::-1], np.s_[:, ::-1], np.s_[::-2, ::2]])
def test_an_array_may_be_read_backwards(view):
    array = np.arange(12.0).reshape(4, 3)[view]

    assert as_tensor(array).tolist() == array.tolist()


def test_nothing_is_copied_without_need():
    array = np.arange(12.0).reshape(4, 3)

    assert np.shares_memory(as_tensor(array[::2].T).numpy(), array)


def test_numbers_and_tensors_are_arrays_too():
    tensor = torch.ones(2, requires_grad=True)

    assert as_tensor(np.float64(3.0)).item() == 3.0
    assert not as_tensor(tensor).requires_grad
