"""Firing states as packed bits: which neurons are above zero, 64 of them to a word."""

from typing import TypeVar

import numpy as np
import torch

from deep_bottleneck.information.arrays import Array, as_tensor

_BITS_PER_BYTE = 8

_Integers = TypeVar("_Integers", np.ndarray, torch.Tensor)


def pack_firing(activations: Array, channel_axis: int) -> np.ndarray:
    """The firing state of every position, one bit per neuron.

    A neuron fires where its activation is above zero; zero, negative and NaN do not fire. Neuron i
    is bit i % 64 of word i // 64, the unused high bits are 0. Values on a GPU are packed there, and
    only the words are copied to the host.

    Args:
        activations: shape (n_inputs, n_neurons), or with any number of position axes beside, in
            either order: (n_inputs, n_neurons, height, width) for `channel_axis` 1,
            (n_inputs, height, width, n_neurons) for -1.
        channel_axis: the axis of the neurons.

    Returns:
        int64, shape (n_inputs * n_positions, n_words).
    """
    neurons_last = as_tensor(activations).movedim(channel_axis, -1)
    on_host = neurons_last.device.type == "cpu"
    words = _words_on_host(neurons_last) if on_host else _words_on_device(neurons_last)
    return words.reshape(-1, words.shape[-1])


def has_nan(activations: torch.Tensor) -> bool:
    """Whether any activation is NaN."""
    # a sum is NaN if a term is, and costs a single pass
    return bool(activations.sum().isnan()) and bool(activations.isnan().any())


def words_to_bytes(words: np.ndarray, n_neurons: int) -> np.ndarray:
    """Packed words as bytes: neuron i is bit i % 8, counted from the lowest, of byte i // 8.

    Args:
        words: int64, shape (n_states, n_words).
        n_neurons: how many bits are in use.

    Returns:
        uint8, shape (n_states, ceil(n_neurons / 8)).
    """
    n_bytes = -(-n_neurons // _BITS_PER_BYTE)
    little_endian = np.ascontiguousarray(words, dtype="<i8")
    return little_endian.view(np.uint8)[:, :n_bytes]


def unpack_bytes(octets: np.ndarray, n_neurons: int) -> np.ndarray:
    """The boolean firing states behind packed bytes.

    Args:
        octets: uint8, shape (n_states, ceil(n_neurons / 8)), as `words_to_bytes` lays them out.
        n_neurons: how many bits are in use.

    Returns:
        bool, shape (n_states, n_neurons).
    """
    return np.unpackbits(octets, axis=1, count=n_neurons, bitorder="little").view(np.bool_)


def _words_on_host(neurons_last: torch.Tensor) -> np.ndarray:
    """Packed by NumPy, in one thread: a batch is too little to share out."""
    try:
        values = neurons_last.numpy()
    except TypeError:  # a type NumPy lacks, such as bfloat16
        values = (neurons_last > 0).numpy()
    firing = (values > 0).view(np.uint8)
    if firing.strides[-1] == firing.itemsize:
        octets = np.packbits(firing, axis=-1, bitorder="little")
    else:
        octets = _joined(firing, np.zeros_like(firing[..., ::8]), bits=1)
    return _joined(octets, np.zeros_like(octets[..., ::8], np.int64), _BITS_PER_BYTE)


def _words_on_device(neurons_last: torch.Tensor) -> np.ndarray:
    firing = (neurons_last > 0).view(torch.uint8)
    octets = _joined(firing, torch.zeros_like(firing[..., ::8]), bits=1)
    zeros = torch.zeros_like(octets[..., ::8], dtype=torch.int64)
    words: np.ndarray = _joined(octets, zeros, _BITS_PER_BYTE).cpu().numpy()
    return words


def _joined(pieces: _Integers, zeros: _Integers, bits: int) -> _Integers:
    """Every 8 neighbours along the last axis, each `bits` wide, in one number, the first lowest.

    Each step adds one of the 8 to all numbers at a time, over whole planes in the memory order the
    pieces came in, so that it is fast where the last axis is not the innermost.
    """
    for place in reversed(range(8)):
        zeros *= 1 << bits
        plane = pieces[..., place::8]
        part = zeros[..., : plane.shape[-1]]
        part |= plane
    return zeros
