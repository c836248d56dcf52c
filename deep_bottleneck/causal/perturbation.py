"""Information between each input and each output while one input at a time is perturbed."""

from typing import Literal

import torch

from deep_bottleneck.causal.channel import Channel
from deep_bottleneck.causal.contingency import (
    PairCorrection,
    checked_correction,
    mutual_information,
    summed_groups,
)
from deep_bottleneck.causal.edges import CELLS_AT_ONCE, EdgeInformation, count_outside
from deep_bottleneck.causal.histogram import joint_counts
from deep_bottleneck.causal.noise import check_finite, uniform
from deep_bottleneck.causal.ranges import (
    equal_edges,
    is_non_decreasing,
    output_edges,
)
from deep_bottleneck.causal.ranks import Lines, ascending, lines_of, preimages, ranked_counts

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

    I(t_A; t_B) | do(A = H_max), the terms of the sensitivity (Mattsson, Michaud and Hoel 2020).
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
    generator = torch.Generator(channel.device).manual_seed(seed)
    held = torch.zeros((1, channel.n_inputs), dtype=channel.dtype, device=channel.device)
    if others == "random":
        held = uniform(1, channel.n_inputs, channel, generator)
    noise = uniform(channel.n_inputs, samples, channel, generator)
    by_rank = channel.is_affine and is_non_decreasing(channel.activation)
    if by_rank and correction != "shuffle":
        values, replicates, share = _by_rank(channel, held, noise, correction, groups)
    else:
        values, replicates, share = _by_evaluation(channel, held, noise, correction, groups)
    shape = (channel.n_inputs, channel.n_runs, values.shape[1] // channel.n_runs)
    replicates = replicates.view(len(replicates), *shape).transpose(1, 2)
    return EdgeInformation(values.view(shape).transpose(0, 1), replicates, share)


_Found = tuple[torch.Tensor, torch.Tensor, float]


def _by_rank(
    channel: Channel,
    held: torch.Tensor,
    noise: torch.Tensor,
    correction: PairCorrection | None,
    groups: int,
) -> _Found:
    lines = lines_of(channel, held)
    check_finite(lines.offset + lines.slope, channel.name)
    edges = _edges_of_lines(channel, lines)
    thresholds = preimages(edges, channel.activation, channel.dtype)
    sorted_noise = [ascending(part) for part in noise.tensor_split(groups, dim=1)]
    n_places = thresholds.shape[1] + 1
    block = max(1, CELLS_AT_ONCE // (channel.n_inputs * channel.in_bins * n_places * groups))
    values, replicates, outside = [], [], 0
    for start in range(0, len(edges), block):
        chosen = slice(start, start + block)
        part = Lines(lines.slope[:, chosen], lines.offset[:, chosen])
        counts = torch.stack(
            [ranked_counts(samples, part, thresholds[chosen], channel) for samples in sorted_noise]
        )
        outside += int(counts[..., [0, -1]].sum())
        if channel.outside == "clip":
            counts[..., 1] += counts[..., 0]
            counts[..., -2] += counts[..., -1]
        total, by_group = summed_groups(counts[..., 1:-1])
        values.append(mutual_information(total, correction))
        replicates.append(mutual_information(by_group, correction))
    share = outside / (noise.numel() * len(edges))
    return torch.cat(values, dim=-1), torch.cat(replicates, dim=-1), share


def _by_evaluation(
    channel: Channel,
    held: torch.Tensor,
    noise: torch.Tensor,
    correction: PairCorrection | None,
    groups: int,
) -> _Found:
    n_inputs, samples = noise.shape
    n_outputs = channel.before_activation(held).numel()
    rows = max(2, min(samples, _VALUES_AT_ONCE // (n_inputs + n_outputs)))
    cells = n_outputs * channel.in_bins * groups * (channel.in_bins + 2)
    block = max(1, min(_VALUES_AT_ONCE // (n_inputs + n_outputs) // rows, CELLS_AT_ONCE // cells))
    edges = _edges_of_responses(channel, held, noise, rows, block)
    in_edges = equal_edges(channel.in_range, channel.in_bins).to(channel.device)
    values, replicates, outside = [], [], 0
    for start in range(0, n_inputs, block):
        by_group: list[torch.Tensor] = []
        by_chance: list[torch.Tensor] = []
        for group in noise.tensor_split(groups, dim=1):
            counted = chance = torch.zeros((), dtype=torch.int32, device=noise.device)
            for piece in torch.split(group, rows, dim=1):
                outputs = responses(channel, held, piece, start, block)
                inputs = piece[start : start + block, None]
                outside += count_outside(outputs.transpose(0, 1).flatten(1), edges)
                if channel.outside == "clip" and channel.out_range != "dynamic":
                    outputs = outputs.clamp(*channel.out_range)
                counted = counted + joint_counts(inputs, outputs, in_edges, edges)[:, 0]
                if correction == "shuffle":
                    shuffled = outputs.roll(piece.shape[1] // 2, dims=2)
                    chance = chance + joint_counts(inputs, shuffled, in_edges, edges)[:, 0]
            by_group.append(counted)
            by_chance.append(chance)
        total, without = summed_groups(torch.stack(by_group))
        total_chance, without_chance = summed_groups(torch.stack(by_chance))
        values.append(mutual_information(total, correction, total_chance))
        replicates.append(mutual_information(without, correction, without_chance))
    share = outside / (noise.numel() * n_outputs)
    return torch.cat(values), torch.cat(replicates, dim=1), share


def responses(
    channel: Channel, held: torch.Tensor, noise: torch.Tensor, start: int, block: int
) -> torch.Tensor:
    """The outputs while one input at a time has noise and the others are held.

    Args:
        channel: the layer.
        held: where the others are held, shape (1, n_inputs).
        noise: for all inputs, shape (n_inputs, n_samples).
        start: the first input to perturb.
        block: so many inputs from there on.

    Returns:
        Shape (n_perturbed, n_runs * n_outputs, n_samples).
    """
    values = noise[start : start + block]
    n_perturbed, n_samples = values.shape
    perturbed = torch.arange(start, start + n_perturbed, device=noise.device)
    inputs = held.repeat(n_perturbed, n_samples, 1)
    inputs[torch.arange(n_perturbed, device=noise.device), :, perturbed] = values
    outputs = channel(inputs.flatten(0, 1))
    check_finite(outputs, channel.name)
    by_input = outputs.view(channel.n_runs, n_perturbed, n_samples, -1).permute(1, 0, 3, 2)
    return by_input.flatten(1, 2).contiguous()


def _edges_of_responses(
    channel: Channel, held: torch.Tensor, noise: torch.Tensor, rows: int, block: int
) -> torch.Tensor:
    n_outputs = channel.before_activation(held).numel()
    lowest = torch.full((n_outputs,), torch.inf, device=noise.device)
    highest = -lowest
    if channel.out_range == "dynamic":
        for start in range(0, len(noise), block):
            for piece in torch.split(noise, rows, dim=1):
                outputs = responses(channel, held, piece, start, block)
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
