"""Packed states as arrays, under the names that TensorState gives these functions."""

import numpy as np

from deep_bottleneck.state_space.packing import pack_firing, unpack_bytes, words_to_bytes


def compress_states(states: np.ndarray) -> np.ndarray:
    """Which neurons are above zero, eight of them to a byte.

    Args:
        states: float or bool, shape (n_states, n_neurons).

    Returns:
        uint8, shape (n_states, ceil(n_neurons / 8)); neuron i is bit i % 8, counted from the
        lowest, of byte i // 8.

    Raises:
        ValueError: if there are not two axes.
    """
    if states.ndim != 2:
        raise ValueError(f"states must have shape (n_states, n_neurons), got {states.shape}")
    return words_to_bytes(pack_firing(states, -1), states.shape[1])


def decompress_states(states: np.ndarray, num_neurons: int) -> np.ndarray:
    """The boolean states behind packed bytes.

    Args:
        states: uint8, shape (n_states, ceil(num_neurons / 8)), as `compress_states` gives them.
        num_neurons: how many bits are in use.

    Returns:
        bool, shape (n_states, num_neurons).
    """
    return unpack_bytes(states, num_neurons)


def sort_states(states: np.ndarray, state_count: int) -> tuple[np.ndarray, np.ndarray]:
    """An order in which equal states are neighbours, and where in it another state begins.

    Args:
        states: uint8, shape (n_states, n_bytes), as `compress_states` gives them.
        state_count: how many of them to sort, from the first.

    Returns:
        The edges, int64 of shape (n_distinct + 1,), from 0 to `state_count`, and the order, int64
        of shape (state_count,): `states[order[edges[i] : edges[i + 1]]]` are all one state.

    Raises:
        ValueError: if there are not that many states.
    """
    if not 0 <= state_count <= len(states):
        raise ValueError(f"cannot sort {state_count} of {len(states)} states")
    order = np.lexsort(states[:state_count].T)
    in_order = states[order]
    differs = (in_order[1:] != in_order[:-1]).any(axis=1)
    edges = np.concatenate([[0], np.flatnonzero(differs) + 1, [state_count]])
    return np.unique(edges), order
