import numpy as np
import pytest
import torch

from deep_bottleneck.state_space.packing import has_nan, pack_firing, unpack_bytes, words_to_bytes


def test_neuron_i_is_bit_i():
    words = pack_firing(np.array([[1.0, -1.0, 0.5, 0.0]]), channel_axis=-1)

    assert words.tolist() == [[0b0101]]


def test_only_values_above_zero_fire():
    values = torch.tensor([[-0.0, 0.0, float("nan"), -float("inf"), 1e-45, float("inf")]])

    assert pack_firing(values, channel_axis=1).tolist() == [[0b110000]]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16, torch.int32])
def test_any_real_type_is_packed(dtype):
    values = torch.tensor([[1, -1, 0, 3]], dtype=dtype)

    assert pack_firing(values, channel_axis=1).tolist() == [[0b1001]]


def test_nan_is_told_from_infinity_and_numbers():
    assert has_nan(torch.tensor([1.0, float("nan")]))
    assert not has_nan(torch.tensor([float("inf"), -float("inf"), 0.0]))
    assert not has_nan(torch.tensor([True, False]))


def test_booleans_are_their_own_firing():
    assert pack_firing(np.array([[True, False, True]]), channel_axis=1).tolist() == [[0b101]]


@pytest.mark.parametrize("n_neurons", [1, 7, 8, 9, 20, 63, 64, 65, 128, 300])
def test_unpacking_gives_the_firing_back(n_neurons):
    values = torch.randn(4, n_neurons, 3, 5)
    rows = (values > 0).movedim(1, -1).reshape(-1, n_neurons).numpy()

    words = pack_firing(values, channel_axis=1)

    assert words.shape == (4 * 3 * 5, -(-n_neurons // 64))
    np.testing.assert_array_equal(unpack_bytes(words_to_bytes(words, n_neurons), n_neurons), rows)


@pytest.mark.parametrize("n_neurons", [3, 64, 100])
def test_memory_order_makes_no_difference(n_neurons):
    first = torch.randn(4, n_neurons, 3, 5)
    last = first.movedim(1, -1).contiguous()

    expected = pack_firing(first, channel_axis=1)

    for values, axis in (
        (last, -1),
        (first.movedim(1, -1), -1),
        (first.to(memory_format=torch.channels_last), 1),
        (last.numpy(), -1),
    ):
        np.testing.assert_array_equal(pack_firing(values, axis), expected)


@pytest.mark.gpu
@pytest.mark.parametrize("n_neurons", [20, 64, 300])
def test_a_gpu_packs_the_same(n_neurons):
    values = torch.randn(8, n_neurons, 6, 6)

    np.testing.assert_array_equal(pack_firing(values.cuda(), 1), pack_firing(values, 1))


@pytest.mark.parametrize("n_neurons", [20, 64, 300])
def test_the_way_for_devices_gives_the_same_on_the_host(n_neurons):
    from deep_bottleneck.state_space import packing

    values = torch.randn(8, 6, 6, n_neurons)
    words = packing._words_on_device(values)

    np.testing.assert_array_equal(words.reshape(-1, words.shape[-1]), pack_firing(values, -1))
