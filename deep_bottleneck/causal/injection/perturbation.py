"""Information between each input and each output while one input at a time is perturbed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch

from deep_bottleneck.causal.injection.channel import Channel
from deep_bottleneck.causal.injection.contingency import (
    PairCorrection,
    checked_correction,
    mutual_information,
    summed_groups,
)
from deep_bottleneck.causal.injection.edges import CELLS_AT_ONCE, EdgeInformation, count_outside
from deep_bottleneck.causal.injection.histogram import joint_counts
from deep_bottleneck.causal.injection.noise import check_finite, uniform
from deep_bottleneck.causal.injection.ranges import (
    equal_edges,
    is_non_decreasing,
    output_edges,
)
from deep_bottleneck.causal.injection.ranks import (
    Lines,
    ascending,
    lines_of,
    preimages,
    ranked_counts,
)

Others = Literal["zero", "random"]

_VALUES_AT_ONCE = 2**24


def perturbation_information(
    channel: Channel,
    samples: int,
    *,
    seed: int,
    correction: PairCorrection | None = None,
    others: Others = "zero",
    groups: int = 1,
) -> EdgeInformation:
    """I(A;B) for each input A and output B, with noise on A alone.

    I(t_A; t_B) | do(A = H_max), the terms of the sensitivity (Marrow, Michaud and Hoel 2020).
    Every input has noise of its own. An affine layer is not evaluated on the noise: see `ranks`.

    Args:
        channel: the layer, or one layer of several runs.
        samples: how many samples of noise for each input.
        seed: the seed of the noise.
        correction: the finite-sample bias correction, or None for the plug-in estimate.
        others: where the other inputs are held: at "zero", or at a "random" point of their range.
        groups: into how many groups to divide the samples for a standard error; 1 for none.

    Returns:
        The information of every edge, in bits.

    Raises:
        ValueError: if the correction or `others` is unknown.
        EstimationError: if the layer puts out NaN or infinite values.
    """
    checked_correction(correction)
    if others not in ("zero", "random"):
        raise ValueError(f'others must be "zero" or "random", got {others!r}')
    held = torch.zeros((1, channel.n_inputs), dtype=channel.dtype, device=channel.device)
    if others == "random":
        generator = torch.Generator(channel.device).manual_seed(seed)
        held = uniform(1, channel.n_inputs, channel, generator)
    by_rank = channel.is_affine and is_non_decreasing(channel.activation)
    n_outputs = channel(held).numel()
    out_bins = channel.in_bins if channel.out_bins == "dynamic" else channel.out_bins
    cells = n_outputs * channel.in_bins * (out_bins + 2) * groups
    per_input = samples if by_rank else samples * (channel.n_inputs + n_outputs)
    block = max(1, min(CELLS_AT_ONCE // cells, _VALUES_AT_ONCE // per_input))
    noise = _Noise(channel, samples, seed + 1, block)
    if by_rank and correction != "shuffle":
        counters = _by_rank(channel, held, noise, groups)
    else:
        counters = _by_evaluation(channel, held, noise, groups, shuffle=correction == "shuffle")
    values, replicates, outside = [], [], 0
    for counts, chance, n_outside in counters:
        total, without = summed_groups(counts)
        total_chance, without_chance = summed_groups(counts if chance is None else chance)
        values.append(mutual_information(total, correction, total_chance))
        replicates.append(mutual_information(without, correction, without_chance))
        outside += n_outside
    share = outside / (samples * channel.n_inputs * n_outputs)
    shape = (channel.n_inputs, channel.n_runs, n_outputs // channel.n_runs)
    matrix = torch.cat(values).view(shape).transpose(0, 1)
    without = torch.cat(replicates, dim=1).view(len(replicates[0]), *shape).transpose(1, 2)
    return EdgeInformation(matrix, without, share)


@dataclass(frozen=True)
class _Noise:
    """Noise for a block of inputs at a time: (first input, noise of shape (block, n_samples)).

    Every iteration yields the same.
    """

    channel: Channel
    samples: int
    seed: int
    block: int

    def __iter__(self) -> Iterator[tuple[int, torch.Tensor]]:
        generator = torch.Generator(self.channel.device).manual_seed(self.seed)
        for start in range(0, self.channel.n_inputs, self.block):
            size = min(self.block, self.channel.n_inputs - start)
            yield start, uniform(size, self.samples, self.channel, generator)


# counts and, for "shuffle", those by chance: (n_groups, block, n_outputs, n_input_bins,
# n_output_bins); and how many outputs were outside
_Counted = tuple[torch.Tensor, torch.Tensor | None, int]


def _by_rank(
    channel: Channel, held: torch.Tensor, noise: _Noise, groups: int
) -> Iterator[_Counted]:
    lines = lines_of(channel, held)
    check_finite(lines.offset + lines.slope, channel.name)
    thresholds = preimages(_edges_of_lines(channel, lines), channel.activation, channel.dtype)
    for start, values in noise:
        block = slice(start, start + len(values))
        part = Lines(lines.slope[block], lines.offset[block])
        pieces = [ascending(piece) for piece in values.tensor_split(groups, dim=1)]
        counts = torch.stack([ranked_counts(piece, part, thresholds, channel) for piece in pieces])
        n_outside = int(counts[..., [0, -1]].sum())
        if channel.outside == "clip":
            counts[..., 1] += counts[..., 0]
            counts[..., -2] += counts[..., -1]
        yield counts[..., 1:-1], None, n_outside


def _by_evaluation(
    channel: Channel, held: torch.Tensor, noise: _Noise, groups: int, *, shuffle: bool
) -> Iterator[_Counted]:
    edges = _edges_of_responses(channel, held, noise)
    in_edges = equal_edges(channel.in_range, channel.in_bins).to(channel.device)
    for start, values in noise:
        by_group, by_chance, n_outside = [], [], 0
        for group in values.tensor_split(groups, dim=1):
            counts = chance = torch.zeros((), dtype=torch.int32, device=values.device)
            for piece in _pieces(group, channel, len(edges)):
                outputs = responses(channel, held, piece, start)
                n_outside += count_outside(outputs.transpose(0, 1).flatten(1), edges)
                outputs = channel.clipped(outputs)
                inputs = piece.unsqueeze(1)
                counts = counts + joint_counts(inputs, outputs, in_edges, edges)[:, 0]
                if shuffle:
                    shuffled = outputs.roll(piece.shape[1] // 2, dims=2)
                    chance = chance + joint_counts(inputs, shuffled, in_edges, edges)[:, 0]
            by_group.append(counts)
            by_chance.append(chance)
        yield torch.stack(by_group), torch.stack(by_chance) if shuffle else None, n_outside


def _pieces(noise: torch.Tensor, channel: Channel, n_outputs: int) -> tuple[torch.Tensor, ...]:
    """The samples in pieces whose inputs and outputs fit into memory."""
    width = len(noise) * (channel.n_inputs + n_outputs)
    return torch.split(noise, max(2, channel.least_rows, _VALUES_AT_ONCE // width), dim=1)


def responses(
    channel: Channel, held: torch.Tensor, noise: torch.Tensor, start: int
) -> torch.Tensor:
    """The outputs while one input at a time has noise and the others are held.

    Args:
        channel: the layer.
        held: where the others are held, shape (1, n_inputs).
        noise: of the perturbed inputs, shape (n_perturbed, n_samples).
        start: the first of them.

    Returns:
        Shape (n_perturbed, n_runs * n_outputs, n_samples).
    """
    n_perturbed, n_samples = noise.shape
    perturbed = torch.arange(start, start + n_perturbed, device=noise.device)
    inputs = held.repeat(n_perturbed, n_samples, 1)
    inputs[torch.arange(n_perturbed, device=noise.device), :, perturbed] = noise
    outputs = channel(inputs.flatten(0, 1))
    check_finite(outputs, channel.name)
    by_input = outputs.view(channel.n_runs, n_perturbed, n_samples, -1).permute(1, 0, 3, 2)
    return by_input.flatten(1, 2).contiguous()


def _edges_of_responses(channel: Channel, held: torch.Tensor, noise: _Noise) -> torch.Tensor:
    n_outputs = channel(held).numel()
    lowest = torch.full((n_outputs,), torch.inf, device=channel.device)
    highest = -lowest
    if channel.out_range == "dynamic":
        for start, values in noise:
            for piece in _pieces(values, channel, n_outputs):
                outputs = responses(channel, held, piece, start)
                lowest = torch.minimum(lowest, outputs.amin(dim=(0, 2)))
                highest = torch.maximum(highest, outputs.amax(dim=(0, 2)))
    return output_edges(lowest, highest, channel.out_range, channel.out_bins, channel.in_bin_width)


def _edges_of_lines(channel: Channel, lines: Lines) -> torch.Tensor:
    ends = torch.tensor(channel.in_range, dtype=torch.float64, device=lines.slope.device)
    outputs = lines.offset + lines.slope * ends[:, None, None]
    if channel.activation is not None:
        outputs = channel.activation(outputs)
    lowest, highest = outputs.amin(dim=(0, 1)), outputs.amax(dim=(0, 1))
    return output_edges(lowest, highest, channel.out_range, channel.out_bins, channel.in_bin_width)
