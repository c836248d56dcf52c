"""Vector EI, EI_parts and sensitivity of a layer.

The functions have the names and arguments of the deep-ei package, so that scripts written for it
run here; what is new goes by keyword. `LayerOptions` describes the arguments that all of them have,
`VectorOptions` and `EdgeOptions` what is new. Like there, estimates are uncorrected unless a
`correction` is asked for. See Marrow, Michaud and Hoel 2020, "Examining the causal structures of
deep neural networks using information theory".
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import torch

from deep_bottleneck.causal.estimates import GROUPS, MatrixValue, Value, as_matrix, as_value
from deep_bottleneck.causal.injection.channel import Channel, Outside, warn_outside
from deep_bottleneck.causal.injection.contingency import PairCorrection
from deep_bottleneck.causal.injection.edges import (
    EdgeInformation,
    edge_information,
    injected_edge_information,
)
from deep_bottleneck.causal.injection.noise import Injection, checked_samples, fresh_seed
from deep_bottleneck.causal.injection.perturbation import Others, perturbation_information
from deep_bottleneck.causal.injection.ranges import Activation, OutBins, OutRange, Range
from deep_bottleneck.causal.injection.vector import (
    Group,
    VectorInformation,
    vector_information,
    warn_unresolved,
)
from deep_bottleneck.causal.network.layers import channel_of
from deep_bottleneck.causal.sampling import (
    SMALLEST_PART,
    absolute_change_below,
    at_infinity,
    relative_change_below,
    until_settled,
)
from deep_bottleneck.information.corrections import AdditiveCorrection

if TYPE_CHECKING:
    import networkx as nx

_SAMPLES = 100_000
_SAMPLES_TO_EXTRAPOLATE = 200_000


class VectorOptions(TypedDict, total=False):
    """What the measures of whole vectors can be told beyond deep-ei's arguments, by keyword.

    Attributes:
        correction: of the finite-sample bias, "grassberger" or "miller-madow".
        seed: of the noise; by default drawn from PyTorch's global generator.
        outside: "drop" leaves samples with outputs outside their range out, "clip" counts such
            outputs in the outermost bins.
    """

    correction: AdditiveCorrection | None
    seed: int | None
    outside: Outside


class EdgeOptions(TypedDict, total=False):
    """What the measures of single edges can be told beyond deep-ei's arguments, by keyword.

    Attributes:
        correction: of the finite-sample bias: "shuffle", the best for many weak edges,
            "grassberger" or "miller-madow".
        seed: as in `VectorOptions`.
        outside: as in `VectorOptions`.
        return_error: also return the standard error, by a delete-a-group jackknife.
    """

    correction: PairCorrection | None
    seed: int | None
    outside: Outside
    return_error: bool


def ei(
    layer: Any, topology: "nx.DiGraph[Any]", threshold: float = 0.05, samples: int | None = None,
    batch_size: int = 20, in_layer: Any = None, in_range: Range | None = None, in_bins: int = 64,
    out_range: OutRange | None = None, out_bins: OutBins = 64, activation: Activation | None = None,
    device: torch.device | str = "cpu", *, return_error: bool = False,
    **options: Unpack[VectorOptions],
) -> Value:  # fmt: skip
    """Vector EI of a layer: the information between its whole input and its whole output.

    EI(L1 -> L2) = I(L1; L2) | do(L1 = H_max), with every distinct combination of input bins a
    state, and every distinct combination of output bins. No estimate from N samples can exceed
    log2 N bits.

    All functions here take the options of a layer, by position or by name: see `LayerOptions`. And:

    - `layer`: a module in the topology.
    - `topology`: the graph that `topology_of` returned.
    - `threshold`: double the samples until that changes the estimate by less than so many bits.
    - `samples`: use so many samples instead.
    - `return_error`: also return the standard error, by a delete-a-group jackknife.
    - `correction`, `seed` and `outside`: see `VectorOptions`.

    Returns:
        The estimate in bits, or the estimate and its standard error.

    Raises:
        ValueError: if the layer is not in the topology, `in_layer` comes after it, or an argument
            is out of range.
        TypeError: if a module is of a kind that cannot be measured.
        EstimationError: if a module is in training mode and behaves differently there, or puts
            out NaN or infinite values.

    Warns:
        UserWarning: if outputs are outside their range, the samples are too few to resolve the
            input's states, or doubling them does not settle the estimate.
    """
    channel = channel_of(
        layer, topology, in_layer=in_layer, in_range=in_range, in_bins=in_bins,
        out_range=out_range, out_bins=out_bins, activation=activation, batch_size=batch_size,
        device=device,
    )  # fmt: skip
    groups = GROUPS if return_error else 1
    information = _vector(channel, samples, threshold, groups, **options)
    return as_value(information.value, information.error, return_error)


def eis_between_groups(
    layer: Any, topology: "nx.DiGraph[Any]", groups: Sequence[Group], samples: int | None = None,
    batch_size: int = 20, in_layer: Any = None, in_range: Range | None = None, in_bins: int = 64,
    out_range: OutRange | None = None, out_bins: OutBins = 64, activation: Activation | None = None,
    device: torch.device | str = "cpu", **options: Unpack[VectorOptions],
) -> list[float]:  # fmt: skip
    """Vector EI between groups of inputs and groups of outputs, with noise on all inputs.

    Takes the arguments of `ei`, of which these differ or are new:

    - `groups`: pairs of the indices of inputs and the indices of outputs; `[((1, 2, 3), (1,))]` is
      the information between inputs 1, 2 and 3 together and output 1.
    - `samples`: how many samples; 100,000 by default.

    Returns:
        For each pair the estimate in bits.

    Raises:
        IndexError: if there is no input or output of an index.
    """
    channel = channel_of(
        layer, topology, in_layer=in_layer, in_range=in_range, in_bins=in_bins,
        out_range=out_range, out_bins=out_bins, activation=activation, batch_size=batch_size,
        device=device,
    )  # fmt: skip
    injection, correction = _injection(channel, samples, **options)
    found = [vector_information(injection, correction, group) for group in groups]
    share = max((information.outside for information in found), default=0.0)
    warn_outside(injection.channel, share)
    return [float(information.value) for information in found]


def vector_and_pairwise_ei(
    layer: Any, topology: "nx.DiGraph[Any]", samples: int | None = None, batch_size: int = 20,
    in_layer: Any = None, in_range: Range | None = None, in_bins: int = 64,
    out_range: OutRange | None = None, out_bins: OutBins = 64, activation: Activation | None = None,
    device: torch.device | str = "cpu", **options: Unpack[VectorOptions],
) -> tuple[float, float]:  # fmt: skip
    """Vector EI and EI_parts of a layer from the same noise.

    Takes the arguments of `ei`, of which these differ or are new:

    - `samples`: how many samples; 100,000 by default.

    Returns:
        The two estimates in bits.
    """
    channel = channel_of(
        layer, topology, in_layer=in_layer, in_range=in_range, in_bins=in_bins,
        out_range=out_range, out_bins=out_bins, activation=activation, batch_size=batch_size,
        device=device,
    )  # fmt: skip
    injection, correction = _injection(channel, samples, **options)
    warn_unresolved(channel, injection.samples)
    vector = vector_information(injection, correction)
    pairwise = injected_edge_information(injection, correction)
    warn_outside(injection.channel, vector.outside)
    return float(vector.value), float(pairwise.total)


def ei_parts(
    layer: Any, topology: "nx.DiGraph[Any]", threshold: float = 0.05, samples: int | None = None,
    extrapolate: bool = False, batch_size: int = 20, in_layer: Any = None,
    in_range: Range | None = None, in_bins: int = 64, out_range: OutRange | None = None,
    out_bins: OutBins = 64, activation: Activation | None = None,
    device: torch.device | str = "cpu", **options: Unpack[EdgeOptions],
) -> Value:  # fmt: skip
    """EI_parts of a layer: the sum of the information over its edges.

    EI_parts(L1 -> L2) = sum over A in L1, B in L2 of I(t_A; t_B) | do(L1 = H_max).

    Takes the arguments of `ei`, of which these differ or are new:

    - `threshold`: double the samples until going on at that pace changes less than this share.
    - `extrapolate`: estimate with several numbers of samples up to `samples` (200,000 by default)
      and fit what infinitely many would give.
    - `correction` and `return_error`: see `EdgeOptions`.

    Returns:
        The estimate in bits, or the estimate and its standard error.

    Raises:
        ValueError: as for `ei`, and if a correction is combined with extrapolation.
    """
    channel = channel_of(
        layer, topology, in_layer=in_layer, in_range=in_range, in_bins=in_bins,
        out_range=out_range, out_bins=out_bins, activation=activation, batch_size=batch_size,
        device=device,
    )  # fmt: skip
    if extrapolate:
        return _extrapolated(channel, samples, **options)
    information = _edges(edge_information, channel, samples, threshold, **options)
    return_error = options.get("return_error", False)
    return as_value(information.total, information.total_error, return_error)


def ei_parts_matrix(
    layer: Any, topology: "nx.DiGraph[Any]", samples: int | None = None, batch_size: int = 20,
    in_layer: Any = None, in_range: Range | None = None, in_bins: int = 64,
    out_range: OutRange | None = None, out_bins: OutBins = 64, activation: Activation | None = None,
    device: torch.device | str = "cpu", *, threshold: float = 0.05, **options: Unpack[EdgeOptions],
) -> MatrixValue:  # fmt: skip
    """The information of each edge of a layer, the terms of EI_parts.

    Takes the arguments of `ei_parts`, of which these differ or are new:

    - `samples`: by default, samples are doubled until the sum of the matrix settles.

    Returns:
        Float64, shape (n_inputs, n_outputs), in bits: the estimates, or these and their standard
        errors.
    """
    channel = channel_of(
        layer, topology, in_layer=in_layer, in_range=in_range, in_bins=in_bins,
        out_range=out_range, out_bins=out_bins, activation=activation, batch_size=batch_size,
        device=device,
    )  # fmt: skip
    information = _edges(edge_information, channel, samples, threshold, **options)
    return as_matrix(information, options.get("return_error", False))


def sensitivity(
    layer: Any, topology: "nx.DiGraph[Any]", samples: int | None = None, batch_size: int = 20,
    in_layer: Any = None, in_range: Range | None = None, in_bins: int = 64,
    out_range: OutRange | None = None, out_bins: OutBins = 64, activation: Activation | None = None,
    device: torch.device | str = "cpu", *, threshold: float = 0.05, others: Others = "zero",
    **options: Unpack[EdgeOptions],
) -> Value:  # fmt: skip
    """Sensitivity of a layer: the information of its edges while one input at a time is perturbed.

    Sensitivity(L1 -> L2) = sum over A in L1, B in L2 of I(t_A; t_B) | do(A = H_max).

    Takes the arguments of `ei_parts`, of which these differ or are new:

    - `samples`: for each input; by default, samples are doubled until the estimate settles.
    - `others`: where the inputs that are not perturbed are held: at "zero", as in the paper, or at
      a "random" point of their range.

    Returns:
        The estimate in bits, or the estimate and its standard error.
    """
    channel = channel_of(
        layer, topology, in_layer=in_layer, in_range=in_range, in_bins=in_bins,
        out_range=out_range, out_bins=out_bins, activation=activation, batch_size=batch_size,
        device=device,
    )  # fmt: skip
    measure = partial(perturbation_information, others=others)
    information = _edges(measure, channel, samples, threshold, **options)
    return_error = options.get("return_error", False)
    return as_value(information.total, information.total_error, return_error)


def sensitivity_matrix(
    layer: Any, topology: "nx.DiGraph[Any]", samples: int | None = None, batch_size: int = 20,
    in_layer: Any = None, in_range: Range | None = None, in_bins: int = 64,
    out_range: OutRange | None = None, out_bins: OutBins = 64, activation: Activation | None = None,
    device: torch.device | str = "cpu", *, threshold: float = 0.05, others: Others = "zero",
    **options: Unpack[EdgeOptions],
) -> MatrixValue:  # fmt: skip
    """The sensitivity of each output to each input, the terms of the sensitivity.

    Takes the arguments of `sensitivity`.

    Returns:
        Float64, shape (n_inputs, n_outputs), in bits: the estimates, or these and their standard
        errors.
    """
    channel = channel_of(
        layer, topology, in_layer=in_layer, in_range=in_range, in_bins=in_bins,
        out_range=out_range, out_bins=out_bins, activation=activation, batch_size=batch_size,
        device=device,
    )  # fmt: skip
    measure = partial(perturbation_information, others=others)
    information = _edges(measure, channel, samples, threshold, **options)
    return as_matrix(information, options.get("return_error", False))


def _injection(
    channel: Channel,
    samples: int | None,
    *,
    correction: AdditiveCorrection | None = None,
    seed: int | None = None,
    outside: Outside = "drop",
) -> tuple[Injection, AdditiveCorrection | None]:
    samples = checked_samples(_SAMPLES if samples is None else samples)
    return Injection(replace(channel, outside=outside), samples, fresh_seed(seed)), correction


def _vector(
    channel: Channel,
    samples: int | None,
    threshold: float,
    groups: int,
    *,
    correction: AdditiveCorrection | None = None,
    seed: int | None = None,
    outside: Outside = "drop",
) -> VectorInformation:
    channel, seed = replace(channel, outside=outside), fresh_seed(seed)

    def estimate(samples: int) -> VectorInformation:
        return vector_information(Injection(channel, samples, seed, groups), correction)

    if samples is not None:
        samples = checked_samples(samples, groups)
        warn_unresolved(channel, samples, stacklevel=4)
        information = estimate(samples)
    else:
        information = until_settled(
            estimate,
            lambda found: float(found.value),
            absolute_change_below(threshold),
            channel.name,
        )
    warn_outside(channel, information.outside, stacklevel=4)
    return information


def _edges(
    measure: Callable[..., EdgeInformation],
    channel: Channel,
    samples: int | None,
    threshold: float,
    *,
    correction: PairCorrection | None = None,
    seed: int | None = None,
    outside: Outside = "drop",
    return_error: bool = False,
) -> EdgeInformation:
    """With so many samples, or with as many as it takes to settle."""
    groups = GROUPS if return_error else 1
    channel, seed = replace(channel, outside=outside), fresh_seed(seed)
    estimate = partial(measure, channel, seed=seed, correction=correction, groups=groups)
    if samples is not None:
        information = estimate(checked_samples(samples, groups))
    else:
        information = until_settled(
            estimate,
            lambda found: float(found.total),
            relative_change_below(threshold),
            channel.name,
        )
    warn_outside(channel, information.outside, stacklevel=4)
    return information


def _extrapolated(
    channel: Channel,
    samples: int | None,
    *,
    correction: PairCorrection | None = None,
    seed: int | None = None,
    outside: Outside = "drop",
    return_error: bool = False,
) -> Value:
    if correction is not None:
        raise ValueError(f"choose either extrapolate=True or correction={correction!r}")
    most = checked_samples(_SAMPLES_TO_EXTRAPOLATE if samples is None else samples, SMALLEST_PART)
    value, error = at_infinity(replace(channel, outside=outside), most, fresh_seed(seed))
    return (value, error) if return_error else value
