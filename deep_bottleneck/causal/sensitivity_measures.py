"""Sensitivity: the information of a layer's edges, with noise on one input at a time.

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
from deep_bottleneck.causal.injection.channel import Outside, warn_outside
from deep_bottleneck.causal.injection.contingency import PairCorrection
from deep_bottleneck.causal.injection.noise import fresh_seed
from deep_bottleneck.causal.injection.perturbation import Others, perturbation_information
from deep_bottleneck.causal.injection.ranges import Activation, OutBins, OutRange, Range
from deep_bottleneck.causal.network.layers import channel_of

if TYPE_CHECKING:
    import networkx as nx


def sensitivity(
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
    others: Others = "zero",
    correction: PairCorrection | None = None,
    seed: int | None = None,
    outside: Outside = "drop",
    return_error: bool = False,
) -> Value:
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
        lambda samples: perturbation_information(
            channel, samples, seed=seed, correction=correction, others=others, groups=groups
        ),
        samples,
        threshold,
        groups,
        channel.name,
    )
    warn_outside(channel, information.outside)
    return as_value(information.total, information.total_error, return_error)


def sensitivity_matrix(
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
    others: Others = "zero",
    correction: PairCorrection | None = None,
    seed: int | None = None,
    outside: Outside = "drop",
    return_error: bool = False,
) -> MatrixValue:
    """The sensitivity of each output to each input, the terms of the sensitivity.

    Takes the arguments of `sensitivity`.

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
        lambda samples: perturbation_information(
            channel, samples, seed=seed, correction=correction, others=others, groups=groups
        ),
        samples,
        threshold,
        groups,
        channel.name,
    )
    warn_outside(channel, information.outside)
    return as_matrix(information, return_error)
