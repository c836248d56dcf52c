"""Which examples a run sees, in which order."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deep_bottleneck.interfaces import IntArray


@dataclass(frozen=True)
class Batches:
    """The order of examples, a pure function of seed, run and epoch.

    So a run sees the same batches whatever other runs train beside it, on every backend, and again
    when it is resumed.

    Attributes:
        n_examples: size of the training set.
        batch_size: examples in a batch; the last batch of a pass may be smaller.
        steps_per_epoch: batches in an epoch; None for one pass over the training set. Where an
            epoch is longer than a pass, further passes follow, each in its own order.
        seed: the experiment's seed.
    """

    n_examples: int
    batch_size: int
    steps_per_epoch: int | None
    seed: int

    @property
    def slices(self) -> list[slice]:
        """Where each batch of an epoch lies in the epoch's order."""
        length = self._epoch_length
        return [
            slice(start, min(start + self.batch_size, length))
            for start in range(0, length, self.batch_size)
        ]

    def order(self, run: int, epoch: int) -> IntArray:
        """Indices of the examples that a run sees in an epoch, one after the other."""
        generator = np.random.default_rng((self.seed, run, epoch))
        passes = math.ceil(self._epoch_length / self.n_examples)
        orders = [generator.permutation(self.n_examples) for _ in range(passes)]
        return np.concatenate(orders)[: self._epoch_length]

    def orders(self, runs: Sequence[int], epoch: int) -> IntArray:
        """The orders of several runs: int64, shape (runs, examples in an epoch)."""
        return np.stack([self.order(run, epoch) for run in runs])

    @property
    def _epoch_length(self) -> int:
        if self.steps_per_epoch is None:
            return self.n_examples
        return self.steps_per_epoch * self.batch_size
