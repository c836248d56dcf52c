"""Maximum-entropy noise, reproducible and in pieces that fit into memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Real
from typing import Any

import torch

from deep_bottleneck.causal.injection.channel import Channel
from deep_bottleneck.errors import EstimationError

_VALUES_AT_ONCE = 2**26


def fresh_seed(seed: int | None) -> int:
    """The seed itself, or else one drawn from PyTorch's global generator.

    Raises:
        ValueError: if it has more than 64 bits, less what a measure adds to it.
    """
    if seed is None:
        return int(torch.randint(2**62, ()))
    if not -(2**63) <= seed < 2**64 - 16:
        raise ValueError(f"seed must be an integer of at most 64 bits, got {seed}")
    return int(seed)


def checked_samples(samples: Any, groups: int = 1) -> int:
    """The number of samples.

    Raises:
        ValueError: if it is not an integer, or so small that a group has less than two.
    """
    is_number = isinstance(samples, Real) and not isinstance(samples, bool)
    if not (is_number and float(samples).is_integer() and samples >= 2 * groups):
        raise ValueError(f"samples must be an integer of at least {2 * groups}, got {samples!r}")
    return int(samples)


def uniform(rows: int, columns: int, channel: Channel, generator: torch.Generator) -> torch.Tensor:
    """Noise that is uniform on the channel's input range, shape (rows, columns)."""
    lower, upper = channel.in_range
    noise = torch.empty((rows, columns), dtype=channel.dtype, device=channel.device)
    return noise.uniform_(lower, upper, generator=generator)


@dataclass
class Injection:
    """Noise injected into all inputs of a channel at once, do(L = H_max), and what comes out.

    Iterating yields the samples in pieces: (group, inputs, outputs), inputs of shape
    (n_inputs, n_samples), outputs of shape (n_runs * n_outputs, n_samples). Every iteration yields
    the same samples; where they fit into memory, the layer is evaluated only once.

    Attributes:
        channel: what the noise is injected into.
        samples: how many samples.
        seed: the seed of the noise.
        groups: the samples are divided into so many groups of about equal size.
    """

    channel: Channel
    samples: int
    seed: int
    groups: int = 1

    def __post_init__(self) -> None:
        self._n_outputs: int | None = None
        self._pieces: list[tuple[int, torch.Tensor, torch.Tensor]] | None = None

    @property
    def n_outputs(self) -> int:
        """The number of scalars that come out, of all runs together."""
        if self._n_outputs is None:
            probe = torch.zeros((1, self.channel.n_inputs), dtype=self.channel.dtype)
            outputs = self.channel(probe.to(self.channel.device))
            self._n_outputs = outputs.shape[0] * outputs.shape[2]
        return self._n_outputs

    def __iter__(self) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
        if self._pieces is not None:
            yield from self._pieces
            return
        pieces = []
        held = 0
        for group, inputs, outputs in self._evaluate():
            held += inputs.numel() + outputs.numel()
            if held <= _VALUES_AT_ONCE:
                pieces.append((group, inputs, outputs))
            yield group, inputs, outputs
        if held <= _VALUES_AT_ONCE:
            self._pieces = pieces

    @property
    def group_sizes(self) -> list[int]:
        """How many samples are in each group."""
        ends = [self.samples * (group + 1) // self.groups for group in range(self.groups)]
        return [end - start for start, end in zip([0, *ends], ends, strict=False)]

    def _evaluate(self) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
        channel = self.channel
        generator = torch.Generator(channel.device).manual_seed(self.seed)
        width = channel.n_inputs + self.n_outputs
        rows = max(2, channel.least_rows, _VALUES_AT_ONCE // width // 2)
        for group, size in enumerate(self.group_sizes):
            for start in range(0, size, rows):
                noise = uniform(channel.n_inputs, min(rows, size - start), channel, generator)
                outputs = channel(noise.T).transpose(1, 2).flatten(0, 1).contiguous()
                check_finite(outputs, channel.name)
                yield group, noise, outputs


def check_finite(outputs: torch.Tensor, name: str) -> None:
    """Raise an EstimationError if any output is NaN or infinite."""
    # a sum is finite only if every term is, and costs a single pass
    if not bool(outputs.sum().isfinite()) and not bool(outputs.isfinite().all()):
        raise EstimationError(
            f"{name} puts out values that are NaN or infinite for noise in its input range: check "
            "its weights and its activation"
        )
