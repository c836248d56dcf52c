"""From a layer of a network, or a stretch of layers, to a channel for noise."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypedDict

import torch
from torch import nn

from deep_bottleneck.causal.injection.channel import Channel, Outside
from deep_bottleneck.causal.injection.ranges import (
    Activation,
    OutBins,
    OutRange,
    Range,
    checked_bins,
    checked_range,
    range_of,
)
from deep_bottleneck.causal.network.kinds import RANGE_PRESERVING
from deep_bottleneck.causal.network.stretches import Stretch, stretch_between

if TYPE_CHECKING:
    import networkx as nx


class LayerOptions(TypedDict, total=False):
    """What the measures can be told of a layer.

    Attributes:
        in_layer: the node of the topology at which the measured stretch of layers begins; by
            default the layer itself.
        in_range: (lower, upper) of the uniform noise; by default that of the activation before:
            (0, 1) for sigmoid, (-1, 1) for tanh, (0, 10) for ReLU, (-10, 10) for none.
        in_bins: how many bins of equal width divide it, 64 by default.
        out_range: (lower, upper), likewise for the outputs and the activation after them, or
            "dynamic" for the range that each output takes.
        out_bins: how many bins divide it, 64 by default, or "dynamic" for bins as wide as those of
            the input.
        activation: applied to the layer's outputs; by default what follows it in the network.
        outside: "drop" leaves samples with outputs outside their range out, "clip" counts such
            outputs in the outermost bins.
        batch_size: at least so many samples go through the layer at once.
        device: where to measure, and where torch modules lie; what is read out of Keras layers is
            copied there.
    """

    in_layer: Any
    in_range: Range | None
    in_bins: int
    out_range: OutRange | None
    out_bins: OutBins
    activation: Activation | None
    outside: Outside
    batch_size: int
    device: torch.device | str


def channel_of(
    layer: Any,
    topology: "nx.DiGraph[Any]",
    *,
    in_layer: Any = None,
    in_range: Range | None = None,
    in_bins: int = 64,
    out_range: OutRange | None = None,
    out_bins: OutBins = 64,
    activation: Activation | None = None,
    outside: Outside = "drop",
    batch_size: int = 1,
    device: torch.device | str = "cpu",
    replicas: Sequence[Any] = (),
) -> Channel:
    """A layer of a network as a channel.

    A convolution, and a stretch of convolutions and pooling, does the same everywhere on its
    input; it is measured on the patch of the input that a single output position sees, without
    padding. A transposed convolution is measured on the patch that as many outputs depend on as its
    stride is wide. A linear layer, and layer normalisation of the last axis, does the same to each
    token, and is measured on one. The input of an embedding is the index of a word, with a bin for
    each if `in_bins` is their number; that of a bilinear layer is both of its inputs, and that of
    a recurrent cell the example and its state. Every other layer is measured on the whole input
    the topology knows. Noise and arithmetic are in float32 for weights in half precision.

    For a layer of your own see `Channel`.

    Takes the options of a layer, see `LayerOptions`, and:

    - `layer`: a node of the topology.
    - `topology`: the graph that `topology_of` returned.
    - `replicas`: the same layer of other runs, to share the channel as further runs; only for a
      single layer.

    Returns:
        The channel.

    Raises:
        ValueError: if the layer is not in the topology, `in_layer` does not come before it, there
            is more than a chain of modules between them, or a range or number of bins is wrong.
        TypeError: if a module is of a kind that cannot be measured.
        EstimationError: if a module is in training mode and behaves differently there.
    """
    if in_range is not None and isinstance(in_range, str):
        raise ValueError(
            f"in_range={in_range!r}: the inputs are noise, so their range is for you to choose; "
            "only out_range can be dynamic"
        )
    stretch = stretch_between(layer if in_layer is None else in_layer, layer, topology, device)
    if activation is None:
        activation = stretch.following
    if activation is not None and (isinstance(activation, type) or not callable(activation)):
        raise TypeError(f"activation must be a function such as nn.Sigmoid(), got {activation!r}")
    return Channel(
        name=stretch.name,
        function=stretch.function(replicas),
        in_shape=stretch.in_shape,
        in_range=_input_range(in_range, stretch),
        in_bins=checked_bins(in_bins, "in_bins"),
        out_range=_output_range(out_range, stretch, activation),
        out_bins=out_bins if out_bins == "dynamic" else checked_bins(out_bins, "out_bins"),
        activation=stretch.activated(activation),
        is_affine=stretch.is_affine,
        n_runs=1 + len(replicas),
        outside=outside,
        least_rows=checked_bins(batch_size, "batch_size"),
        device=torch.device(device),
        dtype=stretch.dtype,
    )


def _input_range(given: Range | None, stretch: Stretch) -> Range:
    if given is not None:
        return checked_range(given, "in_range")
    if isinstance(stretch.cores[0], nn.Embedding):
        return 0.0, float(stretch.cores[0].num_embeddings)
    return range_of(stretch.preceding, stretch.device)


def _output_range(
    given: OutRange | None, stretch: Stretch, activation: Activation | None
) -> OutRange:
    if given == "dynamic":
        return "dynamic"
    if given is not None:
        return checked_range(given, "out_range")
    core = stretch.cores[-1]
    if activation is None and isinstance(core, RANGE_PRESERVING):
        activation = stretch.data[-1]["input"]["activation"]
    if activation is None and isinstance(core, nn.RNNCell):
        activation = nn.Tanh() if core.nonlinearity == "tanh" else nn.ReLU()
    return range_of(activation, stretch.device)
