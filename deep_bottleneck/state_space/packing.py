"""Firing states as packed bits: which neurons are above zero, 64 of them to a word."""

import numpy as np
import torch

from deep_bottleneck.information.arrays import Array, as_tensor

_BITS_PER_BYTE = 8
_BYTES_PER_WORD = 8


def pack_firing(activations: Array, channel_axis: int) -> torch.Tensor:
    """The firing state of every position, one bit per neuron.

    A neuron fires where its activation is above zero; zero, negative and NaN do not fire. Neuron i
    is bit i % 64 of word i // 64, the unused high bits are 0.

    Args:
        activations: shape (n_inputs, n_neurons), or with any number of position axes beside, in
            either order: (n_inputs, n_neurons, height, width) for `channel_axis` 1,
            (n_inputs, height, width, n_neurons) for -1.
        channel_axis: the axis of the neurons.

    Returns:
        int64, shape (n_inputs * n_positions, n_words), on the device of the activations.
    """
    firing = (as_tensor(activations).movedim(channel_axis, -1) > 0).view(torch.uint8)
    octets = _fold(firing, bits=1, dtype=torch.uint8)
    words = _fold(octets, bits=_BITS_PER_BYTE, dtype=torch.int64)
    return words.reshape(-1, words.shape[-1])


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


def _fold(pieces: torch.Tensor, bits: int, dtype: torch.dtype) -> torch.Tensor:
    """Join every 8 neighbours along the last axis, each `bits` wide, the first one lowest.

    Each step adds one of the 8 to all groups at a time, over whole planes in the memory order the
    pieces came in, so channels first and channels last are both fast.
    """
    joined = torch.empty_like(pieces[..., ::8], dtype=dtype).copy_(pieces[..., ::8])
    for place in range(1, 8):
        plane = pieces[..., place::8]
        joined[..., : plane.shape[-1]].add_(plane, alpha=1 << (bits * place))
    return joined
