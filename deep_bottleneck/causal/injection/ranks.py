"""Joint histograms of an affine layer's outputs with one input at a time, without evaluating it.

While the other inputs are held, an output is offset + slope * input. Under a non-decreasing
activation its bins are therefore intervals of the input, and how many samples fall into them is a
difference of ranks.
"""

from dataclasses import dataclass

import numpy as np
import torch

from deep_bottleneck.causal.injection.channel import Channel
from deep_bottleneck.causal.injection.histogram import from_cumulative, round_up
from deep_bottleneck.causal.injection.ranges import Activation, equal_edges

_LARGEST_PREACTIVATION = 2.0**40
_BISECTIONS = 120


@dataclass(frozen=True)
class Lines:
    """The outputs before the activation as functions of each single input.

    Attributes:
        slope: float64, shape (n_inputs, n_runs * n_outputs).
        offset: the value at input 0, of the same shape.
    """

    slope: torch.Tensor
    offset: torch.Tensor


def lines_of(channel: Channel, background: torch.Tensor) -> Lines:
    """How each output of an affine channel depends on each input while the others are held.

    Args:
        channel: a channel whose `is_affine` is true.
        background: where the other inputs are held, shape (1, n_inputs).
    """
    unit = torch.eye(channel.n_inputs, dtype=channel.dtype, device=channel.device)

    def values(inputs: torch.Tensor) -> torch.Tensor:
        return channel.before_activation(inputs).transpose(0, 1).flatten(1).double()

    slope = values(unit) - values(torch.zeros_like(background))
    return Lines(slope, values(background) - background.T.double() * slope)


def preimages(
    edges: torch.Tensor, activation: Activation | None, dtype: torch.dtype
) -> torch.Tensor:
    """The least value whose activation reaches each edge, and goes beyond the last, by bisection.

    Args:
        edges: float64, shape (n_outputs, n_bins + 1), padded with infinity.
        activation: a non-decreasing function, elementwise.
        dtype: the type the activation is computed in, whose rounding makes plateaus.

    Returns:
        float64 of the same shape, -inf where every value does, inf where none does.
    """
    last = edges.masked_fill(edges.isinf(), -torch.inf).amax(dim=1, keepdim=True)
    beyond = torch.nextafter(edges, torch.full_like(edges, torch.inf))
    targets = torch.where(edges == last, beyond, edges)
    if activation is None:
        return targets
    low = torch.full_like(targets, -_LARGEST_PREACTIVATION)
    high = -low
    always = activation(low.to(dtype)) >= targets
    never = activation(high.to(dtype)) < targets
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        reached = activation(middle.to(dtype)) >= targets
        high = torch.where(reached, middle, high)
        low = torch.where(reached, low, middle)
    return high.masked_fill(always, -torch.inf).masked_fill(never, torch.inf)


def ascending(noise: torch.Tensor) -> torch.Tensor:
    """Each row in ascending order; on a CPU by NumPy, whose vectorised sort is faster."""
    if noise.device.type == "cpu":
        return torch.from_numpy(np.sort(noise.numpy(), axis=1))
    return noise.sort(dim=1).values


def ranked_counts(
    noise: torch.Tensor, lines: Lines, thresholds: torch.Tensor, channel: Channel
) -> torch.Tensor:
    """Joint histograms of each input with each output.

    Args:
        noise: the values of each input, ascending, shape (n_inputs, n_samples).
        lines: the outputs before the activation, for n_chosen outputs.
        thresholds: as `preimages` gives them, shape (n_chosen, n_output_bins + 1).
        channel: the input range and bins.

    Returns:
        Integers, shape (n_inputs, n_chosen, n_input_bins, n_output_bins + 2); the first and the
        last output bin are those below and above the range.
    """
    n_inputs, n_samples = noise.shape
    slope = lines.slope.unsqueeze(2)
    level = thresholds - lines.offset.unsqueeze(2)  # (inputs, chosen, bins + 1)
    crossing = torch.where(level <= 0, -torch.inf, torch.inf)  # of a constant
    crossing = torch.where(slope != 0, level / slope, crossing)
    falling = slope < 0
    edge = round_up(crossing, noise.dtype)
    is_exact = edge.double() == crossing
    after = torch.nextafter(edge, torch.full_like(edge, torch.inf))
    edge = torch.where(falling & is_exact, after, edge)  # falling: up to and with the crossing
    rank = torch.searchsorted(noise, edge.flatten(1)).view(edge.shape).int()
    in_edges = round_up(equal_edges(channel.in_range, channel.in_bins)[1:-1], noise.dtype)
    in_rank = torch.searchsorted(noise, in_edges.to(noise.device).repeat(n_inputs, 1)).int()
    in_rank = torch.nn.functional.pad(in_rank, (1, 0))[:, None, :, None]
    rank = rank.unsqueeze(2)
    rising_counts = n_samples - torch.maximum(rank, in_rank)
    falling_counts = (rank - in_rank).clamp_(min=0)
    above = torch.where(falling.unsqueeze(2), falling_counts, rising_counts)
    everything = (n_samples - in_rank).expand(-1, above.shape[1], -1, 1)
    return from_cumulative(torch.cat([everything, above], dim=-1))
