import numpy as np
import pytest
import torch

from deep_bottleneck.information.arrays import as_floats, as_tensor


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


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (np.float16, torch.float32),
        (np.float32, torch.float32),
        (">f4", torch.float32),
        (np.float64, torch.float64),
        (np.int64, torch.float64),
        (np.uint16, torch.float64),
        (bool, torch.float64),
    ],
)
def test_floats_keep_different_numbers_apart(given, found):
    values = as_floats(np.array([0, 1, 1], given))

    assert values.dtype == found
    assert values.tolist() == [0, 1, 1]


def test_large_whole_numbers_are_not_rounded():
    assert as_floats(np.array([2**24, 2**24 + 1])).diff().item() == 1


@pytest.mark.parametrize("given", [np.array(["a"]), np.array([{}]), np.array([1j])])
def test_what_is_no_number_is_named(given):
    with pytest.raises(ValueError, match=f"got an array of .*{given.dtype}"):
        as_floats(given)
