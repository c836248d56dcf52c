"""What a probe records at one place of a network, and what can be asked of it."""

import abc
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from deep_bottleneck.errors import EstimationError
from deep_bottleneck.information import corrections
from deep_bottleneck.information.discrete import Counts
from deep_bottleneck.information.renyi import renyi_entropy
from deep_bottleneck.state_space.axes import question
from deep_bottleneck.state_space.counter import StateCounter
from deep_bottleneck.state_space.locking import CopyableLock
from deep_bottleneck.state_space.packing import has_nan, pack_firing, unpack_bytes, words_to_bytes
from deep_bottleneck.state_space.storage import StateStore

logger = logging.getLogger(__name__)

Correction = Literal["chao_shen", "miller_madow"]

_CORRECTIONS: dict[str, corrections.Correction] = {
    "chao_shen": "chao-shen",
    "miller_madow": "miller-madow",
}
# Below this, more than one in ten further observations would be a state never seen before.
_SUFFICIENT_COVERAGE = 0.9


class AbstractStateCapture(abc.ABC):
    """The firing states observed at one place of a network, counted as they arrive.

    A neuron fires where its value is above zero; NaN is no state, and leaves the entropy undefined
    until the states are reset. Every position of every input gives one state of
    all neurons: a dense layer one per input, a convolution one per pixel of its output. Subclasses
    hand what passes by to `record`.

    Schaub and Hotaling, "Assessing Intelligence in Artificial Neural Networks", 2020,
    arXiv:2006.02909.

    Attributes:
        capture_on: whether what passes by is counted; what was counted stays in either case.

    Args:
        name: what the capture is called, in messages and on disk.
        disk_path: a folder for the raw states, or None to keep counts only.
        channel_axis: the axis of the neurons, or None where each batch has two axes, or brings its
            own.
        kwargs: passed on to the next class that a subclass inherits from.
    """

    name: str
    capture_on: bool = True

    def __init__(
        self,
        name: str,
        disk_path: str | Path | None = None,
        *,
        channel_axis: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.name = name
        self._set_up_capture(disk_path, channel_axis)

    def _set_up_capture(self, disk_path: str | Path | None, channel_axis: int | None) -> None:
        self._channel_axis = channel_axis
        self._disk_path = None if disk_path is None else Path(disk_path)
        self._store: StateStore | None = None
        self._counter: StateCounter | None = None
        self._has_nan = False
        self._has_warned = False
        self._capture_lock = CopyableLock()

    @property
    def state_count(self) -> int:
        """How many states were observed, repeats included."""
        self._settle()
        return 0 if self._counter is None else self._counter.n_observed

    @property
    def coverage(self) -> float:
        """Good-Turing estimate of the probability that the next state is one already observed."""
        return corrections.sample_coverage(self._observed()).item()

    @property
    def undersampled(self) -> bool:
        """Whether too few states were observed for the plain entropy to describe the layer.

        True where more than one in ten further observations would be a state never seen before
        (`coverage` below 0.9). The plain entropy then says more about the number of observations k,
        whose log2 it cannot exceed, than about the layer.
        """
        return self.coverage < _SUFFICIENT_COVERAGE

    @property
    def states(self) -> np.ndarray:
        """The distinct states in the order of `counts`: bool, shape (n_distinct, n_neurons)."""
        counter = self._captured()
        return unpack_bytes(self._distinct_bytes(), counter.n_neurons)

    @property
    def raw_states(self) -> np.ndarray:
        """All states in the order they were observed, as kept on disk.

        Returns:
            uint8, shape (state_count, ceil(n_neurons / 8)); neuron i is bit i % 8, counted from the
            lowest, of byte i // 8.

        Raises:
            EstimationError: if nothing was captured, or without a path on disk.
        """
        self._captured()
        if self._store is None:
            raise EstimationError(
                f"{self.name} keeps counts only: give it a path on disk to keep the raw states"
            )
        with self._capture_lock:
            return self._store.read()

    def counts(self) -> np.ndarray:
        """How often each observed state occurred: int64, shape (n_distinct,)."""
        return self._captured().table()[1].copy()

    def state_ids(self) -> list[bytes]:
        """The observed states in the order of `counts`, packed to bytes.

        Neuron i is bit i % 8, counted from the lowest, of byte i // 8.
        """
        return [row.tobytes() for row in self._distinct_bytes()]

    def max_entropy(self) -> float:
        """The largest entropy the layer could have, in bits: its number of neurons."""
        counter = self._counter or self._captured()
        return float(counter.n_neurons)

    def entropy(self, alpha: float | None = 1, correction: Correction | None = None) -> float:
        """The Rényi entropy of the observed states, in bits.

        Args:
            alpha: the order: 1 Shannon, 0 Hartley, infinity min-entropy; None is `max_entropy`.
            correction: an estimate of the Shannon entropy that allows for states not yet seen,
                never above `max_entropy`: "chao_shen" (from few observations) or "miller_madow"
                (from many).

        Raises:
            EstimationError: if nothing was captured, or NaN was.
            ValueError: if alpha is negative, the correction is unknown, or it is asked for with an
                order other than 1.
        """
        if correction is not None:
            return self._corrected_entropy(alpha, correction)
        if alpha is None:
            return self.max_entropy()
        return renyi_entropy(self._defined(), alpha).item()

    def efficiency(
        self,
        alpha1: float = 1,
        alpha2: float | None = None,
        correction: Correction | None = None,
    ) -> float:
        """How much of its state space the layer uses, H_alpha1 / H_alpha2, from 0 to 1.

        Args:
            alpha1: the order of the entropy in the numerator.
            alpha2: the order in the denominator, below alpha1; None is the number of neurons.
            correction: as in `entropy`, for the numerator.

        Raises:
            EstimationError: if nothing was captured, NaN was, or both entropies are 0.
            ValueError: if alpha1 is not above alpha2; and as `entropy` does.
        """
        if alpha2 is not None and not alpha1 > alpha2:
            raise ValueError(f"alpha1 must be above alpha2, got {alpha1} and {alpha2}")
        available = self.entropy(alpha2)
        if available == 0:
            raise EstimationError(
                f"the efficiency of {self.name} relative to its entropy of order {alpha2} is not "
                "defined: it was in the same state all the time"
            )
        if correction is None:
            self._warn_if_undersampled()
        return self.entropy(alpha1, correction) / available

    def flush(self) -> None:
        """Write the raw states to the disk that wait in memory, if there is a path for them.

        They are written in chunks of 4 MiB as they come, and the rest when `raw_states` is read,
        the capture is gone or the process ends; a process that is killed loses what waits.

        Raises:
            RecordError: if the disk does not take them.
        """
        self._settle()
        with self._capture_lock:
            if self._store is not None:
                self._store.flush()

    def reset_states(self, input_shape: Sequence[int | None] | None = None) -> None:
        """Forget all states, on disk too; the number of neurons may be another afterwards.

        Args:
            input_shape: of the batches to come, from which the number of neurons is known before
                the first; None where that tells.
        """
        with self._capture_lock:
            self._counter = None
            self._has_nan = False
            if self._store is not None:
                self._store.delete()
                self._store = None
            axis = self._channel_axis
            if axis is None and input_shape is not None and len(input_shape) == 2:
                axis = -1
            n_neurons = None if input_shape is None or axis is None else input_shape[axis]
            if n_neurons is not None:
                self._counter = StateCounter(n_neurons)

    def record(self, activations: Any, channel_axis: int | None = None) -> None:
        """Count the firing states of a batch, unless `capture_on` is False.

        Args:
            activations: a tensor or array of shape (n_inputs, n_neurons, ...positions) or
                (n_inputs, ...positions, n_neurons), or of these without the first axis.
            channel_axis: the axis of the neurons in this batch; None for that of the capture, or
                the second of two.

        Raises:
            TypeError: if it is not a tensor of real numbers.
            ValueError: if it has no channel axis, more axes than two and nothing says which counts
                the neurons, or not the number of neurons it had before.
            RecordError: if the disk does not take the states; they are then not counted.
        """
        if not self.capture_on:
            return
        tensor = self._checked(activations)
        axis = self._axis(tensor, channel_axis)
        words = pack_firing(tensor, axis)
        n_neurons = tensor.shape[axis]
        with self._capture_lock:
            if self._counter is None:
                self._counter = StateCounter(n_neurons)
            elif self._counter.n_neurons != n_neurons:
                raise ValueError(
                    f"{self.name} captured states of {self._counter.n_neurons} neurons and now got "
                    f"{n_neurons}: call reset_states() before capturing another network or shape"
                )
            if self._disk_path is not None:
                self._keep(words_to_bytes(words, n_neurons))
            self._counter.add(words)
            self._has_nan = self._has_nan or has_nan(tensor)

    def _checked(self, activations: Any) -> torch.Tensor:
        if not isinstance(activations, torch.Tensor | np.ndarray):
            raise TypeError(not_a_tensor(self.name, activations))
        tensor = torch.as_tensor(activations).detach()
        if tensor.is_complex():
            raise TypeError(f"{self.name} got complex values, which are not above or below zero")
        return tensor.dequantize() if tensor.is_quantized else tensor

    def _axis(self, tensor: torch.Tensor, channel_axis: int | None) -> int:
        shape = tuple(tensor.shape)
        axis = self._channel_axis if channel_axis is None else channel_axis
        if axis is None and len(shape) > 2:
            raise ValueError(question(self.name, self.name, shape))
        if axis is None:
            axis = 1
        if not -len(shape) <= axis < len(shape) or shape[axis] == 0:
            raise ValueError(
                f"{self.name} expects a batch of shape (n_inputs, n_neurons), with position axes "
                f"before or after the neurons, got shape {shape}"
            )
        return axis

    def _keep(self, rows: np.ndarray) -> None:
        if self._store is None and self._disk_path is not None:
            self._store = StateStore(
                self._disk_path / f"{self.name}.zarr", rows.shape[1], owner=self
            )
        if self._store is not None:
            self._store.append(rows)

    def _warn_if_undersampled(self) -> None:
        if self._has_warned or not self.undersampled:
            return
        self._has_warned = True
        logger.warning(
            "%s is under-sampled: a further observation is a known state with a probability of "
            "%.2f only, so that its efficiency reflects the number of observations (%d); see the "
            "corrections of efficiency()",
            self.name,
            self.coverage,
            self.state_count,
        )

    def _settle(self) -> None:  # noqa: B027, only asynchronous backends have to wait
        """Wait for batches that are on their way."""

    def _captured(self) -> StateCounter:
        self._settle()
        if self._counter is None or self._counter.n_observed == 0:
            raise EstimationError(
                f"{self.name} has captured no states yet: run inputs through the network first"
            )
        return self._counter

    def _observed(self) -> Counts:
        return self._captured().counts()

    def _defined(self) -> Counts:
        observed = self._observed()
        if self._has_nan:
            raise EstimationError(
                f"the entropy of {self.name} is not defined: some of its activations are NaN"
            )
        return observed

    def _distinct_bytes(self) -> np.ndarray:
        counter = self._captured()
        return words_to_bytes(counter.table()[0], counter.n_neurons)

    def _corrected_entropy(self, alpha: float | None, correction: str) -> float:
        if correction not in _CORRECTIONS:
            raise ValueError(
                f"unknown correction {correction!r}, expected one of {sorted(_CORRECTIONS)} or None"
            )
        if alpha != 1:
            raise ValueError(
                f"the corrections are for the Shannon entropy, of order 1, not of order {alpha}"
            )
        estimate = corrections.corrected_entropy(self._defined(), _CORRECTIONS[correction]).item()
        return min(estimate, self.max_entropy())


def not_a_tensor(name: str, passing: Any) -> str:
    """Why a capture cannot take what passes by."""
    return (
        f"{name} can capture one tensor, got {type(passing).__name__}: attach to layers with a "
        "tensor there, or exclude this one"
    )
