"""EI_parts: the information of a layer's edges, with noise on all inputs.

The functions have the names and arguments of the deep-ei package, so that scripts written for it
run here; the arguments after the star are new. Like there, estimates are uncorrected unless a
`correction` is asked for. See Marrow, Michaud and Hoel 2020, "Examining the causal structures of
deep neural networks using information theory".
"""

from typing import TYPE_CHECKING, Any

import torch

from deep_bottleneck.causal.estimates import (
    GROUPS,
    MatrixValue,
    Value,
    as_matrix,
    as_value,
    settled,
)
from deep_bottleneck.causal.extrapolation import SMALLEST_PART, at_infinity
from deep_bottleneck.causal.injection.channel import Outside, warn_outside
from deep_bottleneck.causal.injection.contingency import PairCorrection
from deep_bottleneck.causal.injection.edges import edge_information
from deep_bottleneck.causal.injection.noise import checked_samples, fresh_seed
from deep_bottleneck.causal.injection.ranges import Activation, OutBins, OutRange, Range
from deep_bottleneck.causal.network.layers import channel_of

if TYPE_CHECKING:
    import networkx as nx

_SAMPLES_TO_EXTRAPOLATE = 200_000


def ei_parts(
    layer: Any,
    topology: "nx.DiGraph[Any]",
    threshold: float = 0.05,
    samples: int | None = None,
    extrapolate: bool = False,
    batch_size: int = 20,
    in_layer: Any = None,
    in_range: Range | None = None,
    in_bins: int = 64,
    out_range: OutRange | None = None,
    out_bins: OutBins = 64,
    activation: Activation | None = None,
    device: torch.device | str = "cpu",
    *,
    correction: PairCorrection | None = None,
    seed: int | None = None,
    outside: Outside = "drop",
    return_error: bool = False,
) -> Value:
    """EI_parts of a layer: the sum of the information over its edges.

    EI_parts(L1 -> L2) = sum over A in L1, B in L2 of I(t_A; t_B) | do(L1 = H_max).

    Takes the arguments of `ei`, of which these differ or are new:

    - `threshold`: double the samples until going on at that pace changes less than this share.
    - `samples`: use so many samples instead.
    - `extrapolate`: estimate with several numbers of samples up to `samples` (200,000 by default)
      and fit what infinitely many would give.
    - `correction`: of the finite-sample bias: "shuffle", the best for many weak edges,
      "grassberger" or "miller-madow".

    Returns:
        The estimate in bits, or the estimate and its standard error.

    Raises:
        ValueError: as for `ei`, and if a correction is combined with extrapolation.
    """
    channel = channel_of(
        layer,
        topology,
        in_layer=in_layer,
        in_range=in_range,
        in_bins=in_bins,
        out_range=out_range,
        out_bins=out_bins,
        activation=activation,
        outside=outside,
        batch_size=batch_size,
        device=device,
    )
    seed = fresh_seed(seed)
    if extrapolate:
        if correction is not None:
            raise ValueError(f"choose either extrapolate=True or correction={correction!r}")
        most = _SAMPLES_TO_EXTRAPOLATE if samples is None else samples
        value, error = at_infinity(channel, checked_samples(most, SMALLEST_PART), seed)
        return (value, error) if return_error else value
    groups = GROUPS if return_error else 1
    information = settled(
        lambda samples: edge_information(
            channel, samples, seed=seed, correction=correction, groups=groups
        ),
        samples,
        threshold,
        groups,
        channel.name,
    )
    warn_outside(channel, information.outside)
    return as_value(information.total, information.total_error, return_error)


def ei_parts_matrix(
    layer: Any,
    topology: "nx.DiGraph[Any]",
    samples: int | None = None,
    batch_size: int = 20,
    in_layer: Any = None,
    in_range: Range | None = None,
    in_bins: int = 64,
    out_range: OutRange | None = None,
    out_bins: OutBins = 64,
    activation: Activation | None = None,
    device: torch.device | str = "cpu",
    *,
    threshold: float = 0.05,
    correction: PairCorrection | None = None,
    seed: int | None = None,
    outside: Outside = "drop",
    return_error: bool = False,
) -> MatrixValue:
    """The information of each edge of a layer, the terms of EI_parts.

    Takes the arguments of `ei_parts`, of which these differ or are new:

    - `samples`: by default, samples are doubled until the sum of the matrix settles.

    Returns:
        Float64, shape (n_inputs, n_outputs), in bits: the estimates, or these and their standard
        errors.
    """
    channel = channel_of(
        layer,
        topology,
        in_layer=in_layer,
        in_range=in_range,
        in_bins=in_bins,
        out_range=out_range,
        out_bins=out_bins,
        activation=activation,
        outside=outside,
        batch_size=batch_size,
        device=device,
    )
    seed = fresh_seed(seed)
    groups = GROUPS if return_error else 1
    information = settled(
        lambda samples: edge_information(
            channel, samples, seed=seed, correction=correction, groups=groups
        ),
        samples,
        threshold,
        groups,
        channel.name,
    )
    warn_outside(channel, information.outside)
    return as_matrix(information, return_error)
