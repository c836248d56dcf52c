"""From a layer of a network, or a stretch of layers, to a channel for noise."""

import copy
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, TypedDict

import networkx as nx
import torch
from torch import nn

from deep_bottleneck.causal.injection.channel import Channel, Outside, stacked
from deep_bottleneck.causal.injection.ranges import (
    Activation,
    OutBins,
    OutRange,
    Range,
    checked_bins,
    checked_range,
    range_of,
)
from deep_bottleneck.causal.network.kinds import (
    AFFINE,
    AVERAGE_POOLING,
    CONVOLUTIONS,
    DROPOUT,
    MAX_POOLING,
    NORMALISATION,
    RANGE_PRESERVING,
    SUPPORTED,
    is_keras,
)
from deep_bottleneck.errors import EstimationError


class LayerOptions(TypedDict, total=False):
    """What `channel_of` can be told of a layer, by keyword."""

    in_layer: Any
    in_range: Range | None
    in_bins: int
    out_range: OutRange | None
    out_bins: OutBins
    activation: Activation | None
    outside: Outside
    batch_size: int
    device: torch.device | str


_SLIDING = (*CONVOLUTIONS, *AVERAGE_POOLING, *MAX_POOLING)


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
    padding. Every other layer is measured on the whole input the topology knows.

    Args:
        layer: a node of the topology.
        topology: the graph that `topology_of` returned.
        in_layer: the node at which the stretch of layers begins; by default the layer itself.
        in_range: the range of the inputs; by default that of the activation before them.
        in_bins: how many bins divide it.
        out_range: the range of the outputs; by default that of the activation after them.
        out_bins: how many bins divide it.
        activation: applied to the outputs in place of the one in the topology.
        outside: what becomes of outputs outside the range, see `Channel`.
        batch_size: at least so many samples go through the layer at once.
        device: where to measure, and where torch modules lie; what is read out of Keras layers is
            copied there.
        replicas: the same layer of other runs, to share the channel as further runs; only for
            a single layer.

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
    if outside not in ("drop", "clip"):
        raise ValueError(f'outside must be "drop" or "clip", got {outside!r}')
    chain = _chain(in_layer if in_layer is not None else layer, layer, topology)
    device = torch.device(device)
    modules = [_measurable(node, device) for node in chain]
    first, last = topology.nodes[chain[0]], topology.nodes[chain[-1]]
    if activation is None:
        activation = last["output"]["activation"]
    between = [topology.nodes[node]["output"]["activation"] for node in chain[:-1]]
    in_shape = tuple(first["input"]["shape"][1:])
    cores = [getattr(module, "inner", module) for module in modules]
    if _is_local(cores):
        n_channels = in_shape[0] if cores[0] is modules[0] else in_shape[-1]
        in_shape = (n_channels, *_patch(cores, len(in_shape) - 1))
        modules = [_without_padding(module) for module in cores]
        shapes = None
    else:
        shapes = [tuple(topology.nodes[node]["input"]["shape"][1:]) for node in chain[1:]]
    if replicas:
        if len(modules) > 1:
            raise ValueError("replicas are for a single layer, not for a stretch of layers")
        others = [_measurable(layer, device) for layer in replicas]
        if shapes is None:
            others = [_without_padding(getattr(module, "inner", module)) for module in others]
        function = stacked([modules[0], *others])
    else:
        function = _composed(modules, between, shapes)
    return Channel(
        name=str(chain[-1]) if len(chain) == 1 else f"{chain[0]} to {chain[-1]}",
        function=function,
        in_shape=in_shape,
        in_range=_input_range(in_range, first),
        in_bins=checked_bins(in_bins, "in_bins"),
        out_range=_output_range(out_range, last, cores[-1], activation),
        out_bins=out_bins if out_bins == "dynamic" else checked_bins(out_bins, "out_bins"),
        activation=activation,
        is_affine=all(isinstance(module, AFFINE) for module in cores)
        and all(isinstance(passed, nn.Identity | None) for passed in between),
        n_runs=1 + len(replicas),
        outside=outside,
        least_rows=batch_size,
        device=device,
        dtype=_dtype(modules),
    )


def _chain(first: Any, last: Any, topology: "nx.DiGraph[Any]") -> list[Any]:
    """The modules from the first to the last, if there is a single way and nothing joins it."""
    for node in (first, last):
        if node not in topology:
            raise ValueError(
                f"{node} is not in the topology: pass a module of the network topology_of was "
                "given, and not an activation or a container"
            )
    if first is last:
        return [last]
    if not nx.has_path(topology, first, last):
        raise ValueError(f"in_layer {first} does not come before layer {last} in the topology")
    within = (nx.descendants(topology, first) | {first}) & (nx.ancestors(topology, last) | {last})
    chain = nx.shortest_path(topology, first, last)
    if len(chain) != len(within) or any(topology.in_degree(node) != 1 for node in chain[1:]):
        raise ValueError(
            f"data takes more than one way between {first} and {last}: choose an in_layer and a "
            "layer with a plain chain of modules between them"
        )
    for source, target in pairwise(chain):
        if not topology.edges[source, target].get("is_plain", True):
            raise ValueError(
                f"between {source} and {target} something happens to the data that is not a "
                "module: measure the two apart"
            )
    return list(chain)


def _measurable(node: Any, device: torch.device) -> nn.Module:
    if is_keras(node):
        from deep_bottleneck.causal.network.keras_layers import as_module

        return as_module(node).to(device)
    if not isinstance(node, SUPPORTED):
        kinds = ", ".join(sorted({kind.__name__ for kind in SUPPORTED}))
        raise TypeError(f"{node} cannot be measured; modules that can are: {kinds}")
    unsettled = isinstance(node, NORMALISATION) and node.running_mean is None
    if unsettled or (node.training and isinstance(node, (*NORMALISATION, *DROPOUT))):
        raise EstimationError(
            f"the outputs of {node} depend on the batch or on chance, as it is in training mode or "
            "keeps no running statistics: call eval() on the network first"
        )
    return node


def _is_local(modules: Sequence[nn.Module]) -> bool:
    """Whether the modules do the same everywhere on their input."""
    everywhere = (*_SLIDING, *NORMALISATION, *DROPOUT)
    return any(isinstance(module, _SLIDING) for module in modules) and all(
        isinstance(module, everywhere) for module in modules
    )


def _composed(
    modules: Sequence[nn.Module],
    between: Sequence[Activation | None],
    shapes: Sequence[tuple[int, ...]] | None,
) -> Callable[[torch.Tensor], torch.Tensor]:
    """One module after another, with activations and changes of shape between them."""

    def function(values: torch.Tensor) -> torch.Tensor:
        values = modules[0](values)
        for index, module in enumerate(modules[1:]):
            activation = between[index]
            values = values if activation is None else activation(values)
            values = values if shapes is None else values.reshape(-1, *shapes[index])
            values = module(values)
        return values.unsqueeze(0)

    return function


def _patch(modules: Sequence[nn.Module], n_axes: int) -> tuple[int, ...]:
    """The size of the input that a single output position depends on."""
    sizes = [1] * n_axes
    for module in reversed(modules):
        if isinstance(module, _SLIDING):
            kernel = _per_axis(module.kernel_size, n_axes)
            stride = _per_axis(module.stride, n_axes)
            dilation = _per_axis(getattr(module, "dilation", 1), n_axes)
            reach = [gap * (width - 1) for gap, width in zip(dilation, kernel, strict=True)]
            steps = zip(sizes, stride, reach, strict=True)
            sizes = [(size - 1) * step + extent + 1 for size, step, extent in steps]
    return tuple(sizes)


def _per_axis(setting: Any, n_axes: int) -> tuple[int, ...]:
    return tuple(setting) if isinstance(setting, tuple | list) else (setting,) * n_axes


def _without_padding(module: nn.Module) -> nn.Module:
    if not isinstance(module, _SLIDING) or not any(_per_axis(module.padding, 1)):
        return module
    module = copy.copy(module)
    module.padding = (0,) * len(_per_axis(module.kernel_size, 1))
    if isinstance(module, CONVOLUTIONS):
        module.padding_mode = "zeros"
    return module


def _input_range(given: Range | None, data: dict[str, Any]) -> Range:
    if given is not None:
        return checked_range(given, "in_range")
    return range_of(data["input"]["activation"])


def _output_range(
    given: OutRange | None,
    data: dict[str, Any],
    module: nn.Module,
    activation: Activation | None,
) -> OutRange:
    if given == "dynamic":
        return "dynamic"
    if given is not None:
        return checked_range(given, "out_range")
    following = data["output"]["activation"]
    if following is None and isinstance(activation, nn.Module):
        following = activation
    if following is None and isinstance(module, RANGE_PRESERVING):
        following = data["input"]["activation"]
    return range_of(following)


def _dtype(modules: Sequence[nn.Module]) -> torch.dtype:
    tensors = (tensor for module in modules for tensor in module.parameters())
    return next(tensors, torch.empty(0)).dtype
