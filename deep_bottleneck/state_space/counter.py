"""Counting distinct states as they arrive, in memory that grows with the distinct ones."""

import numpy as np
import torch

from deep_bottleneck.information.discrete import Counts, row_keys
from deep_bottleneck.state_space.locking import CopyableLock

_BITS_PER_WORD = 64
# A histogram over all states of this many neurons takes 8 MB and no sorting.
_MOST_HISTOGRAM_NEURONS = 20
# At least this many words are collected before they are merged.
_FEWEST_PENDING_WORDS = 2**20
_MIX_MULTIPLIER = np.int64(-7046029254386353131)
_LOW_HALF = np.int64(0xFFFFFFFF)


class StateCounter:
    """How often did each firing state occur? Safe to feed from several threads.

    States of up to 20 neurons are counted in a histogram over all of them. Wider ones collect
    until they are as many as the distinct states known (or a million words), and are then merged
    into a sorted table, so that the memory stays proportional to the distinct states and the time
    to N log N. Up to 64 neurons the state is its own key; above, keys are 64-bit hashes, and among
    N distinct states any two are taken for one with a probability of about N^2 / 2^64.

    Args:
        n_neurons: how many bits a state has.
    """

    def __init__(self, n_neurons: int) -> None:
        self.n_neurons = n_neurons
        self._n_words = -(-n_neurons // _BITS_PER_WORD)
        self._lock = CopyableLock()
        self.reset()

    def reset(self) -> None:
        """Forget everything counted so far."""
        with self._lock:
            self._n_observed = 0
            self._pending = np.empty((0, self._n_words), np.int64)
            self._n_pending = 0
            self._keys = np.empty(0, np.int64)
            self._words = np.empty((0, self._n_words), np.int64)
            self._counts = np.empty(0, np.int64)
            self._histogram: np.ndarray | None = None

    @property
    def n_observed(self) -> int:
        """How many states were counted, repeats included."""
        return self._n_observed

    def add(self, words: np.ndarray) -> None:
        """Count states.

        Args:
            words: int64, shape (n_states, n_words), as `pack_firing` gives them.
        """
        with self._lock:
            if self.n_neurons <= _MOST_HISTOGRAM_NEURONS:
                self._add_to_histogram(words[:, 0])
            else:
                self._collect(words)
            self._n_observed += len(words)

    def counts(self) -> Counts:
        """The occurrences of each distinct state, as one problem of the discrete core."""
        _, occurrences = self.table()
        return Counts(
            torch.from_numpy(occurrences), torch.tensor([len(occurrences)]), int(occurrences.sum())
        )

    def table(self) -> tuple[np.ndarray, np.ndarray]:
        """The distinct states and how often each occurred, in an order that only they determine.

        Returns:
            The states, int64 of shape (n_distinct, n_words), and their counts, int64 of shape
            (n_distinct,).
        """
        with self._lock:
            if self._histogram is not None:
                states = np.flatnonzero(self._histogram)
                return states[:, np.newaxis], self._histogram[states]
            self._merge()
            return self._words, self._counts

    def _add_to_histogram(self, states: np.ndarray) -> None:
        if self._histogram is None:
            self._histogram = np.zeros(1 << self.n_neurons, np.int64)
        np.add.at(self._histogram, states, 1)

    def _collect(self, words: np.ndarray) -> None:
        if self._n_pending + len(words) > len(self._pending):
            self._merge()
            fewest = _FEWEST_PENDING_WORDS // self._n_words
            n_rows = max(fewest, len(self._counts), len(words))
            if n_rows > len(self._pending):
                self._pending = np.empty((n_rows, self._n_words), np.int64)
        end = self._n_pending + len(words)
        self._pending[self._n_pending : end] = words
        self._n_pending = end

    def _merge(self) -> None:
        if not self._n_pending:
            return
        words = np.concatenate([self._words, self._pending[: self._n_pending]])
        keys = np.concatenate([self._keys, _keys(words[len(self._keys) :])])
        weights = np.concatenate([self._counts, np.ones(self._n_pending, np.int64)])

        order = np.argsort(keys)
        keys = keys[order]
        starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
        self._keys = keys[starts]
        self._words = words[order[starts]]
        self._counts = np.add.reduceat(weights[order], starts)
        self._n_pending = 0


def _keys(words: np.ndarray) -> np.ndarray:
    """One 64-bit key for each row; of a single word, the word itself.

    The random sums of `row_keys` tell rows apart by the low bits in which they differ, so each
    word is first scrambled, reversibly, until its high bits reach its low ones.
    """
    if words.shape[1] == 1:
        return words[:, 0]
    scrambled = words ^ ((words >> 32) & _LOW_HALF)
    scrambled *= _MIX_MULTIPLIER
    scrambled ^= (scrambled >> 32) & _LOW_HALF
    return row_keys(scrambled).numpy()
