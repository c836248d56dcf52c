"""Independent of the package: how often does each boolean row occur, by `numpy.unique`?"""

from typing import Any

import numpy as np


def brute_force(activations: np.ndarray, channel_axis: int) -> dict[bytes, int]:
    """The number of occurrences of each state, a state being its booleans as bytes."""
    firing = np.moveaxis(activations > 0, channel_axis, -1)
    firing = firing.reshape(-1, firing.shape[-1])
    states, counts = np.unique(firing, axis=0, return_counts=True)
    return {state.tobytes(): count for state, count in zip(states, counts.tolist(), strict=True)}


def captured(capture: Any) -> dict[bytes, int]:
    """The same, as a capture reports it."""
    assert capture.state_count == capture.counts().sum()
    assert len(set(capture.state_ids())) == len(capture.counts())
    counts = capture.counts().tolist()
    return {state.tobytes(): count for state, count in zip(capture.states, counts, strict=True)}
