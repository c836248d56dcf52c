"""Determinism and degeneracy of a layer, and its place on the causal plane."""

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Unpack

import torch

from deep_bottleneck.causal.estimates import GROUPS
from deep_bottleneck.causal.injection.channel import Channel, warn_outside
from deep_bottleneck.causal.injection.contingency import PairCorrection
from deep_bottleneck.causal.injection.edges import (
    edge_information,
    edges_of_outputs,
    injected_edge_information,
)
from deep_bottleneck.causal.injection.histogram import places
from deep_bottleneck.causal.injection.noise import Injection, checked_samples, fresh_seed
from deep_bottleneck.causal.injection.perturbation import Others, perturbation_information
from deep_bottleneck.causal.injection.vector import vector_information, warn_unresolved
from deep_bottleneck.causal.network.layers import LayerOptions, channel_of
from deep_bottleneck.information.corrections import AdditiveCorrection, count_terms, entropy_offset

if TYPE_CHECKING:
    import networkx as nx

_SAMPLES = 10_000

Degeneracy = Literal["sensitivity", "uniform"]


class CausalPlane(NamedTuple):
    """Where a layer lies on the causal plane, in bits.

    Attributes:
        degeneracy: sensitivity - EI_parts: what the edges carry one at a time and lose to each
            other when all inputs are perturbed.
        sensitivity: what the edges carry while one input at a time is perturbed.
        ei_parts: what they carry while all inputs are.
    """

    degeneracy: float
    sensitivity: float
    ei_parts: float


def causal_plane(
    layer: Any,
    topology: "nx.DiGraph[Any]",
    samples: int = _SAMPLES,
    *,
    correction: PairCorrection | None = "shuffle",
    others: Others = "zero",
    seed: int | None = None,
    return_error: bool = False,
    **options: Unpack[LayerOptions],
) -> CausalPlane | tuple[CausalPlane, CausalPlane]:
    """The place of a layer on the causal plane.

    EI_parts = sensitivity - degeneracy (Marrow, Michaud and Hoel 2020, "Examining the causal
    structures of deep neural networks using information theory").

    Args:
        layer: a module in the topology.
        topology: the graph that `topology_of` returned.
        samples: how many samples of noise, for all inputs at once and for each alone.
        correction: of the finite-sample bias, or None for the plug-in estimate.
        others: where inputs that are not perturbed are held, as for `sensitivity`.
        seed: of the noise; by default drawn from PyTorch's global generator.
        return_error: also return the standard errors.
        **options: the range, bins, activation and device, see `LayerOptions`.

    Returns:
        The coordinates, or these and their standard errors.

    Raises:
        ValueError, TypeError, EstimationError: as for `ei`.
    """
    channel = channel_of(layer, topology, **options)
    groups = GROUPS if return_error else 1
    samples, seed = checked_samples(samples, groups), fresh_seed(seed)
    together = edge_information(channel, samples, seed=seed, correction=correction, groups=groups)
    alone = perturbation_information(
        channel, samples, seed=seed + 1, correction=correction, others=others, groups=groups
    )
    warn_outside(channel, together.outside)
    ei_parts, sensitivity = float(together.total[0]), float(alone.total[0])
    plane = CausalPlane(sensitivity - ei_parts, sensitivity, ei_parts)
    if not return_error:
        return plane
    errors = alone.total_error[0], together.total_error[0]
    both = torch.stack(errors).norm()
    return plane, CausalPlane(float(both), float(errors[0]), float(errors[1]))


def degeneracy(
    layer: Any,
    topology: "nx.DiGraph[Any]",
    samples: int = _SAMPLES,
    *,
    compared_with: Degeneracy = "sensitivity",
    correction: PairCorrection | None = "shuffle",
    others: Others = "zero",
    seed: int | None = None,
    **options: Unpack[LayerOptions],
) -> float:
    """How much of what a layer's edges could carry is lost as different inputs have one effect.

    Args:
        layer: a module in the topology.
        topology: the graph that `topology_of` returned.
        samples: how many samples of noise.
        compared_with: "sensitivity" gives sensitivity - EI_parts, the axis of the causal plane
            (Marrow, Michaud and Hoel 2020); "uniform" gives, summed over the edges,
            log2(output bins) - H(B), how far the effects are from uniform (Hoel, Albantakis and
            Tononi 2013, "Quantifying causal emergence shows that macro can beat micro"), so that
            EI_parts = determinism - degeneracy; `weight_graph.degeneracy` is an entropy, of the
            opposite sense.
        correction: of the finite-sample bias, or None for the plug-in estimate.
        others: where inputs that are not perturbed are held, as for `sensitivity`.
        seed: of the noise; by default drawn from PyTorch's global generator.
        **options: the range, bins, activation and device, see `LayerOptions`.

    Returns:
        The degeneracy in bits.

    Raises:
        ValueError, TypeError, EstimationError: as for `ei`.
    """
    channel = channel_of(layer, topology, **options)
    samples, seed = checked_samples(samples), fresh_seed(seed)
    if compared_with == "uniform":
        injection = Injection(channel, samples, seed)
        return float(effect_redundancy(injection, correction)[0])
    if compared_with != "sensitivity":
        raise ValueError(f'compared_with must be "sensitivity" or "uniform", got {compared_with!r}')
    together = edge_information(channel, samples, seed=seed, correction=correction)
    alone = perturbation_information(
        channel, samples, seed=seed + 1, correction=correction, others=others
    )
    warn_outside(channel, together.outside)
    return float(alone.total[0] - together.total[0])


def determinism(
    layer: Any,
    topology: "nx.DiGraph[Any]",
    samples: int = _SAMPLES,
    *,
    correction: PairCorrection | None = "shuffle",
    seed: int | None = None,
    **options: Unpack[LayerOptions],
) -> float:
    """How well each input alone determines each output while all inputs are perturbed.

    Summed over the edges, log2(output bins) - H(B|A), with noise on all inputs (Hoel, Albantakis
    and Tononi 2013). EI_parts = determinism - degeneracy compared with "uniform". It is large where
    effects are certain; `weight_graph.determinism` is a mean entropy, and small there.

    Args:
        layer: a module in the topology.
        topology: the graph that `topology_of` returned.
        samples: how many samples of noise.
        correction: of the finite-sample bias, or None for the plug-in estimate.
        seed: of the noise; by default drawn from PyTorch's global generator.
        **options: the range, bins, activation and device, see `LayerOptions`.

    Returns:
        The determinism in bits.

    Raises:
        ValueError, TypeError, EstimationError: as for `ei`.
    """
    channel = channel_of(layer, topology, **options)
    samples, seed = checked_samples(samples), fresh_seed(seed)
    injection = Injection(channel, samples, seed)
    information = injected_edge_information(injection, correction)
    redundancy = effect_redundancy(injection, correction)
    warn_outside(channel, information.outside)
    return float(information.total[0] + redundancy[0])


def effect_redundancy(injection: Injection, correction: PairCorrection | None) -> torch.Tensor:
    """The sum over the edges of log2(output bins) - H(B), noise on all inputs, shape (n_runs,)."""
    channel = injection.channel
    edges = edges_of_outputs(injection)
    n_outputs, n_places = edges.shape[0], edges.shape[1] + 1
    counts = torch.zeros((n_outputs, n_places), dtype=torch.int64, device=channel.device)
    first = torch.arange(n_outputs, device=channel.device)[:, None] * n_places
    for _, _, outputs in injection:
        outputs = channel.clipped(outputs)
        keys = (places(outputs, edges) + first).view(-1)
        counts += torch.bincount(keys, minlength=counts.numel()).view_as(counts)
    inside = counts[:, 1:-1]
    known = None if correction == "shuffle" else correction
    terms = count_terms(injection.samples, known).to(channel.device)
    total = inside.sum(dim=1)
    entropy = entropy_offset(total, known) - terms[inside].sum(dim=1) / total.clamp(min=1)
    n_bins = edges.isfinite().sum(dim=1) - 1
    redundancy = (n_bins.double().log2() - entropy).view(channel.n_runs, -1).sum(dim=1)
    return redundancy * channel.n_inputs


def measures_of(
    channel: Channel,
    samples: int = _SAMPLES,
    *,
    seed: int | None = None,
    correction: PairCorrection | None = "shuffle",
    sensitivity_correction: PairCorrection | None = "miller-madow",
    vector_correction: AdditiveCorrection | None = "grassberger",
    others: Others = "zero",
) -> dict[str, torch.Tensor]:
    """All measures of a layer, for all runs that share a channel at once.

    Args:
        channel: the layer of one or more runs, as `channel_of` or `Channel` makes it.
        samples: how many samples of noise.
        seed: of the noise, the same for all runs; by default drawn from PyTorch's global generator.
        correction: of the finite-sample bias of EI_parts and determinism.
        sensitivity_correction: of that of the sensitivity. Its edges are strong, so that the cheap
            ones do: all but "shuffle" spare an affine layer most of the work.
        vector_correction: of that of vector EI.
        others: where inputs that are not perturbed are held, as for `sensitivity`.

    Returns:
        `ei`, `ei_parts`, `sensitivity`, `degeneracy` (sensitivity - EI_parts) and `determinism`,
        each float64 of shape (n_runs,), in bits.

    Raises:
        ValueError, EstimationError: as for `ei`.

    Warns:
        OutOfRangeWarning: if outputs are outside their range.
        UnresolvedWarning: if the samples are too few to resolve the input's states, so that vector
            EI is biased.
    """
    samples, seed = checked_samples(samples), fresh_seed(seed)
    warn_unresolved(channel, samples)
    injection = Injection(channel, samples, seed)
    vector = vector_information(injection, vector_correction)
    parts = injected_edge_information(injection, correction).total
    alone = perturbation_information(
        channel, samples, seed=seed + 1, correction=sensitivity_correction, others=others
    ).total
    redundancy = effect_redundancy(injection, correction)
    warn_outside(channel, vector.outside)
    return {
        "ei": vector.value,
        "ei_parts": parts,
        "sensitivity": alone,
        "degeneracy": alone - parts,
        "determinism": parts + redundancy,
    }
