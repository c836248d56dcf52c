"""Vector EI: the information between the whole input and the whole output of a layer.

The functions have the names and arguments of the deep-ei package, so that scripts written for it
run here; the arguments after the star are new. Like there, estimates are uncorrected unless a
`correction` is asked for. See Marrow, Michaud and Hoel 2020, "Examining the causal structures of
deep neural networks using information theory".
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from deep_bottleneck.causal.estimates import GROUPS, Value, as_value
from deep_bottleneck.causal.injection.channel import Outside, warn_outside
from deep_bottleneck.causal.injection.edges import edge_information
from deep_bottleneck.causal.injection.noise import Injection, checked_samples, fresh_seed
from deep_bottleneck.causal.injection.ranges import Activation, OutBins, OutRange, Range
from deep_bottleneck.causal.injection.vector import (
    Group,
    VectorInformation,
    vector_information,
    warn_unresolved,
)
from deep_bottleneck.causal.network.layers import channel_of
from deep_bottleneck.causal.sampling import absolute_change_below, until_settled
from deep_bottleneck.information.corrections import AdditiveCorrection

if TYPE_CHECKING:
    import networkx as nx

_SAMPLES = 100_000


def ei(
    layer: Any,
    topology: "nx.DiGraph[Any]",
    threshold: float = 0.05,
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
    correction: AdditiveCorrection | None = None,
    seed: int | None = None,
    outside: Outside = "drop",
    return_error: bool = False,
) -> Value:
    """Vector EI of a layer: the information between its whole input and its whole output.

    EI(L1 -> L2) = I(L1; L2) | do(L1 = H_max), with every distinct combination of input bins a
    state, and every distinct combination of output bins. No estimate from N samples can exceed
    log2 N bits.

    Args:
        layer: a module in the topology.
        topology: the graph that `topology_of` returned.
        threshold: double the samples until that changes the estimate by less than so many bits.
        samples: use so many samples instead.
        batch_size: at least so many samples go through the layer at once.
        in_layer: the module at which the measured stretch of the network begins; by default the
            layer itself.
        in_range: (lower, upper) of the uniform noise; by default that of the activation before:
            (0, 1) for sigmoid, (-1, 1) for tanh, (0, 10) for ReLU, (-10, 10) for none.
        in_bins: how many bins of equal width divide it.
        out_range: (lower, upper), likewise for the outputs and the activation after them, or
            "dynamic" for the range that each output takes.
        out_bins: how many bins divide it, or "dynamic" for bins as wide as those of the input.
        activation: applied to the layer's outputs; by default what follows it in the network.
        device: where to measure.
        correction: of the finite-sample bias, "grassberger" or "miller-madow".
        seed: of the noise; by default drawn from PyTorch's global generator.
        outside: "drop" leaves samples with outputs outside their range out, "clip" counts such
            outputs in the outermost bins.
        return_error: also return the standard error, by a delete-a-group jackknife.

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

    def estimate(samples: int) -> VectorInformation:
        return vector_information(Injection(channel, samples, seed, groups), correction)

    if samples is not None:
        samples = checked_samples(samples, groups)
        warn_unresolved(channel, samples)
        information = estimate(samples)
    else:
        settled = absolute_change_below(threshold)
        information = until_settled(
            estimate,
            lambda before, after: settled(float(before.value), float(after.value)),
            channel.name,
        )
    warn_outside(channel, information.outside)
    return as_value(information.value, information.error, return_error)


def eis_between_groups(
    layer: Any,
    topology: "nx.DiGraph[Any]",
    groups: Sequence[Group],
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
    correction: AdditiveCorrection | None = None,
    seed: int | None = None,
    outside: Outside = "drop",
) -> list[float]:
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
    samples = checked_samples(_SAMPLES if samples is None else samples)
    injection = Injection(channel, samples, seed)
    found = [vector_information(injection, correction, group) for group in groups]
    warn_outside(channel, max((information.outside for information in found), default=0.0))
    return [float(information.value) for information in found]


def vector_and_pairwise_ei(
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
    correction: AdditiveCorrection | None = None,
    seed: int | None = None,
    outside: Outside = "drop",
) -> tuple[float, float]:
    """Vector EI and EI_parts of a layer from the same noise.

    Takes the arguments of `ei`, of which these differ or are new:

    - `samples`: how many samples; 100,000 by default.

    Returns:
        The two estimates in bits.
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
    samples = checked_samples(_SAMPLES if samples is None else samples)
    warn_unresolved(channel, samples)
    vector = vector_information(Injection(channel, samples, seed), correction)
    pairwise = edge_information(channel, samples, seed=seed, correction=correction)
    warn_outside(channel, vector.outside)
    return float(vector.value), float(pairwise.total)
