"""Information between the whole input and the whole output of a channel under injected noise."""

import math
import warnings
from collections.abc import Sequence
from typing import NamedTuple, get_args

import torch

from deep_bottleneck.causal.injection.channel import Channel
from deep_bottleneck.causal.injection.edges import count_outside, edges_of_outputs, jackknife_error
from deep_bottleneck.causal.injection.histogram import places, round_up
from deep_bottleneck.causal.injection.noise import Injection
from deep_bottleneck.causal.injection.ranges import equal_edges
from deep_bottleneck.errors import UnresolvedWarning
from deep_bottleneck.information.corrections import AdditiveCorrection, corrected_entropy
from deep_bottleneck.information.discrete import count_keys, row_keys

Group = tuple[Sequence[int], Sequence[int]]


class VectorInformation(NamedTuple):
    """Information between whole inputs and whole outputs, in bits.

    Attributes:
        value: float64, shape (n_runs,).
        replicates: the same without one group of the samples, for each of the groups, shape
            (n_groups, n_runs); no groups where there is only one.
        outside: the share of the outputs that were outside their range.
    """

    value: torch.Tensor
    replicates: torch.Tensor
    outside: float

    @property
    def error(self) -> torch.Tensor:
        """The standard error, shape (n_runs,)."""
        return jackknife_error(self.replicates)


def vector_information(
    injection: Injection,
    correction: AdditiveCorrection | None = None,
    group: Group | None = None,
) -> VectorInformation:
    """I(L1;L2) between the inputs as one variable and the outputs as one variable.

    I(L1; L2) | do(L1 = H_max), vector EI (Marrow, Michaud and Hoel 2020, eq. 4): each distinct
    row of input bins is a state, and each distinct row of output bins. A sample is left out where
    any of its outputs is outside the range.

    Args:
        injection: the samples.
        correction: the finite-sample bias correction, or None for the plug-in estimate.
        group: the indices of the inputs and of the outputs to look at; all of them by default.

    Returns:
        The information of each run.

    Raises:
        ValueError: if the correction is unknown, or every sample is left out.
        IndexError: if there is no input or output of an index.
        EstimationError: if the layer puts out NaN or infinite values.
    """
    if correction not in (None, *get_args(AdditiveCorrection)):
        raise ValueError(
            f"correction must be None or one of {', '.join(get_args(AdditiveCorrection))}, got "
            f"{correction!r}; shuffle is for edges"
        )
    channel = injection.channel
    edges = edges_of_outputs(injection)
    in_edges = equal_edges(channel.in_range, channel.in_bins).to(channel.device)
    states: list[torch.Tensor] = []
    inside: list[torch.Tensor] = []
    origin: list[torch.Tensor] = []
    outside = 0
    for index, noise, outputs in injection:
        outside += count_outside(outputs, edges)
        outputs = channel.clipped(outputs)
        in_bins = torch.bucketize(noise, round_up(in_edges[1:-1], noise.dtype), right=True)
        out_places = places(outputs, edges).view(channel.n_runs, -1, outputs.shape[1])
        if group is not None:
            in_bins = _chosen(in_bins, group[0], 0, "inputs")
            out_places = _chosen(out_places, group[1], 1, "outputs")
        last_place = edges.shape[1]
        inside.append(((out_places > 0) & (out_places < last_place)).all(dim=1))
        in_rows = in_bins.T.expand(channel.n_runs, -1, -1)
        out_rows = out_places.transpose(1, 2)
        both = torch.cat([in_rows, out_rows], dim=2)
        states.append(torch.stack([row_keys(rows) for rows in (in_rows, out_rows, both)]))
        origin.append(torch.full((noise.shape[1],), index, device=noise.device))
    share = outside / (injection.samples * len(edges))
    keys, valid = torch.cat(states, dim=2), torch.cat(inside, dim=1)
    groups = torch.cat(origin)
    everything = _information(keys, valid, correction)
    if injection.groups == 1:
        return VectorInformation(everything, everything.new_empty((0, channel.n_runs)), share)
    without = [
        _information(keys[..., groups != index], valid[:, groups != index], correction)
        for index in range(injection.groups)
    ]
    return VectorInformation(everything, torch.stack(without), share)


def warn_unresolved(channel: Channel, samples: int, stacklevel: int = 3) -> None:
    """Warn if there are more states of the input than samples to tell them apart."""
    bits = channel.n_inputs * math.log2(channel.in_bins)
    if bits > math.log2(samples):
        warnings.warn(
            f"{samples:,} samples can resolve at most {math.log2(samples):.1f} bits, but "
            f"{channel.n_inputs} inputs of {channel.in_bins} bins have 2^{bits:.0f} states: expect "
            "a biased estimate, or choose fewer bins or more samples",
            UnresolvedWarning,
            stacklevel=stacklevel,
        )


def _information(
    keys: torch.Tensor, valid: torch.Tensor, correction: AdditiveCorrection | None
) -> torch.Tensor:
    """I(X;Y) of each run's valid samples, from the keys of X, Y and both (3, runs, samples)."""
    if not bool(valid.all()):
        runs = zip(keys.unbind(1), valid, strict=True)
        kept = [run[:, mask].unsqueeze(1) for run, mask in runs]
        if not all(run.shape[-1] for run in kept):
            raise ValueError(
                "every sample has an output outside out_range: pass a wider one, or "
                'out_range="dynamic"'
            )
        full = [torch.ones_like(run[0], dtype=torch.bool) for run in kept]
        return torch.cat(
            [_information(run, mask, correction) for run, mask in zip(kept, full, strict=True)]
        )
    counts = count_keys(keys.flatten(0, 1))
    of_input, of_output, of_both = corrected_entropy(counts, correction).chunk(3)
    information = of_input + of_output - of_both
    return information.clamp(min=0.0) if correction is None else information


def _chosen(values: torch.Tensor, indices: Sequence[int], dim: int, what: str) -> torch.Tensor:
    limit = values.shape[dim]
    if not indices or min(indices) < 0 or max(indices) >= limit:
        raise IndexError(f"expected indices of {what} from 0 to {limit - 1}, got {tuple(indices)}")
    return values.index_select(dim, torch.tensor(list(indices), device=values.device))
