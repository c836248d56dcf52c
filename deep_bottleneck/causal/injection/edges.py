"""Information between single inputs and single outputs of a channel under injected noise."""

from dataclasses import dataclass

import torch

from deep_bottleneck.causal.injection.channel import Channel
from deep_bottleneck.causal.injection.contingency import (
    PairCorrection,
    checked_correction,
    mutual_information,
    summed_groups,
)
from deep_bottleneck.causal.injection.histogram import joint_counts
from deep_bottleneck.causal.injection.noise import Injection
from deep_bottleneck.causal.injection.ranges import equal_edges, output_edges

CELLS_AT_ONCE = 2**24


@dataclass(frozen=True)
class EdgeInformation:
    """Information between each input and each output, in bits.

    Attributes:
        matrix: float64, shape (n_runs, n_inputs, n_outputs).
        replicates: the same without one group of the samples, for each of the groups, shape
            (n_groups, n_runs, n_inputs, n_outputs); no groups where no error was asked for.
        outside: the share of the outputs that were outside their range.
    """

    matrix: torch.Tensor
    replicates: torch.Tensor
    outside: float

    @property
    def total(self) -> torch.Tensor:
        """The sum over the edges, shape (n_runs,)."""
        return self.matrix.sum(dim=(1, 2))

    @property
    def total_error(self) -> torch.Tensor:
        """The standard error of the sum, shape (n_runs,)."""
        return jackknife_error(self.replicates.sum(dim=(2, 3)))

    @property
    def matrix_error(self) -> torch.Tensor:
        """The standard error of each edge, shape (n_runs, n_inputs, n_outputs)."""
        return jackknife_error(self.replicates)


def jackknife_error(replicates: torch.Tensor) -> torch.Tensor:
    """The standard error by the delete-a-group jackknife (Efron and Tibshirani 1993, eq. 11.5).

    Args:
        replicates: the estimates without one group each, shape (n_groups, ...).

    Returns:
        Shape (...); NaN with fewer than two groups.
    """
    groups = len(replicates)
    spread = (replicates - replicates.mean(dim=0)).square().sum(dim=0)
    return (spread * ((groups - 1) / groups)).sqrt() if groups > 1 else spread * torch.nan


def edge_counts(
    injection: Injection, out_edges: torch.Tensor, outputs: slice, *, shuffled: bool = False
) -> tuple[torch.Tensor, int]:
    """Joint histograms of every input with some of the outputs.

    Args:
        injection: the samples.
        out_edges: of the bins of these outputs, shape (n_chosen, n_output_bins + 1).
        outputs: which of the n_runs * n_outputs outputs.
        shuffled: pair the outputs with the inputs of other samples.

    Returns:
        int32, shape (n_groups, n_inputs, n_chosen, n_input_bins, n_output_bins), and how many
        outputs were outside their edges.
    """
    channel = injection.channel
    in_edges = equal_edges(channel.in_range, channel.in_bins).to(channel.device)
    counts: dict[int, torch.Tensor] = {}
    outside = 0
    for group, noise, everything in injection:
        values = everything[outputs]
        outside += count_outside(values, out_edges)
        values = channel.clipped(values)
        if shuffled:
            values = values.roll(values.shape[1] // 2, dims=1)
        part = joint_counts(noise[None], values[None], in_edges, out_edges)[0]
        counts[group] = counts[group] + part if group in counts else part
    parts = list(counts.values())
    return parts[0][None] if len(parts) == 1 else torch.stack(parts), outside


def count_outside(values: torch.Tensor, out_edges: torch.Tensor) -> int:
    """How many values, shape (n_outputs, n_samples), are below the first edge or above the last."""
    if values.shape[1] == 0:
        return 0
    lower = out_edges[:, 0]
    upper = out_edges.masked_fill(out_edges.isinf(), -torch.inf).amax(dim=1)
    if bool((values.amin(dim=1) >= lower).all()) and bool((values.amax(dim=1) <= upper).all()):
        return 0
    return int(((values < lower[:, None]) | (values > upper[:, None])).sum())


def edges_of_outputs(injection: Injection) -> torch.Tensor:
    """The edges of the bins of all outputs, float64, shape (n_runs * n_outputs, bins + 1)."""
    channel = injection.channel
    lowest = torch.full((injection.n_outputs,), torch.inf, device=channel.device)
    highest = -lowest
    if channel.out_range == "dynamic":
        for _, _, outputs in injection:
            lowest = torch.minimum(lowest, outputs.amin(dim=1))
            highest = torch.maximum(highest, outputs.amax(dim=1))
    return output_edges(lowest, highest, channel.out_range, channel.out_bins, channel.in_bin_width)


def edge_information(
    channel: Channel,
    samples: int,
    *,
    seed: int,
    correction: PairCorrection | None = None,
    groups: int = 1,
) -> EdgeInformation:
    """I(A;B) for each input A and output B, with noise on all inputs at once.

    I(t_A; t_B) | do(L = H_max), the terms of EI_parts (Marrow, Michaud and Hoel 2020, eq. 6).

    Args:
        channel: the layer, or one layer of several runs.
        samples: how many samples of noise.
        seed: the seed of the noise.
        correction: the finite-sample bias correction, or None for the plug-in estimate.
        groups: into how many groups to divide the samples for a standard error; 1 for none.

    Returns:
        The information of every edge, in bits.

    Raises:
        ValueError: if the correction is unknown.
        EstimationError: if the layer puts out NaN or infinite values.
    """
    return injected_edge_information(Injection(channel, samples, seed, groups), correction)


def injected_edge_information(
    injection: Injection, correction: PairCorrection | None = None
) -> EdgeInformation:
    """`edge_information` from noise that serves other measures as well.

    Args:
        injection: the samples.
        correction: the finite-sample bias correction, or None for the plug-in estimate.

    Returns:
        The information of every edge, in bits.

    Raises:
        ValueError: if the correction is unknown.
        EstimationError: if the layer puts out NaN or infinite values.
    """
    checked_correction(correction)
    channel = injection.channel
    edges = edges_of_outputs(injection)
    cells = channel.n_inputs * channel.in_bins * (edges.shape[1] + 1) * injection.groups
    block = max(1, CELLS_AT_ONCE // cells)
    values, replicates = [], []
    outside = 0
    for start in range(0, len(edges), block):
        outputs = slice(start, start + block)
        by_group, n_outside = edge_counts(injection, edges[outputs], outputs)
        outside += n_outside
        total, without = summed_groups(by_group)
        total_chance = without_chance = None
        if correction == "shuffle":
            chance, _ = edge_counts(injection, edges[outputs], outputs, shuffled=True)
            total_chance, without_chance = summed_groups(chance)
        values.append(mutual_information(total, correction, total_chance))
        replicates.append(mutual_information(without, correction, without_chance))
    share = outside / (injection.samples * len(edges))
    n_inputs, n_outputs = channel.n_inputs, len(edges) // channel.n_runs
    matrix = torch.cat(values, dim=-1).view(n_inputs, channel.n_runs, n_outputs)
    without = torch.cat(replicates, dim=-1).view(
        len(replicates[0]), n_inputs, channel.n_runs, n_outputs
    )
    return EdgeInformation(matrix.transpose(0, 1), without.transpose(1, 2), share)
