"""A chain of layers, and the modules that compute what they do."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import networkx as nx
import torch
from torch import nn

from deep_bottleneck.causal.injection.channel import stacked
from deep_bottleneck.causal.injection.ranges import Activation
from deep_bottleneck.causal.network.kinds import (
    AFFINE,
    CONVOLUTIONS,
    DROPOUT,
    NORMALISATION,
    SLIDING,
    SUPPORTED,
    is_keras,
    per_axis,
)
from deep_bottleneck.errors import EstimationError


@dataclass(frozen=True)
class Stretch:
    """A chain of layers.

    Attributes:
        nodes: the layers.
        data: what the topology knows of each.
        modules: what computes each of them.
        device: where they lie.
    """

    nodes: Sequence[Any]
    data: Sequence[dict[str, Any]]
    modules: Sequence[nn.Module]
    device: torch.device

    @property
    def name(self) -> str:
        """How messages call the stretch."""
        first, last = self.nodes[0], self.nodes[-1]
        return str(last) if len(self.nodes) == 1 else f"{first} to {last}"

    @property
    def preceding(self) -> Activation | None:
        """The activation that the inputs have passed."""
        return self.data[0]["input"]["activation"]

    @property
    def following(self) -> Activation | None:
        """The activation that the outputs pass."""
        return self.data[-1]["output"]["activation"]

    @property
    def between(self) -> list[Activation | None]:
        """The activations that the outputs of all layers but the last pass."""
        return [data["output"]["activation"] for data in self.data[:-1]]

    @property
    def cores(self) -> list[nn.Module]:
        """The modules, with channels first."""
        return [_core(module) for module in self.modules]

    @cached_property
    def is_local(self) -> bool:
        """Whether the layers do the same everywhere on their input."""
        everywhere = (*SLIDING, *NORMALISATION, *DROPOUT)
        return any(isinstance(core, SLIDING) for core in self.cores) and all(
            isinstance(core, everywhere) for core in self.cores
        )

    @property
    def is_affine(self) -> bool:
        """Whether the stretch is affine from end to end."""
        return all(isinstance(core, AFFINE) for core in self.cores) and all(
            isinstance(passed, nn.Identity | None) for passed in self.between
        )

    @property
    def in_shape(self) -> tuple[int, ...]:
        """The shape of one input: of a patch, with channels first, where the layers are local."""
        in_shape = tuple(self.data[0]["input"]["shape"][1:])
        if not self.is_local:
            return in_shape
        n_channels = in_shape[0] if self.cores[0] is self.modules[0] else in_shape[-1]
        return (n_channels, *_patch(self.cores, len(in_shape) - 1))

    @property
    def dtype(self) -> torch.dtype:
        """The type of the parameters."""
        tensors = (tensor for module in self.modules for tensor in module.parameters())
        return next(tensors, torch.empty(0)).dtype

    def function(self, replicas: Sequence[Any] = ()) -> Callable[[torch.Tensor], torch.Tensor]:
        """From inputs (n_samples, *in_shape) to outputs (n_runs, n_samples, ...).

        Args:
            replicas: the same layer of other runs.

        Raises:
            ValueError: if there are replicas of more than one layer.
            TypeError: if a replica is of a kind that cannot be measured.
            EstimationError: if a replica is in training mode and behaves differently there.
        """
        if not replicas:
            return _composed(self._placed(self.modules), self.between, self._shapes)
        if len(self.nodes) > 1:
            raise ValueError("replicas are for a single layer, not for a stretch of layers")
        others = [_measurable(layer, self.device) for layer in replicas]
        return stacked(self._placed([*self.modules, *others]))

    @property
    def _shapes(self) -> list[tuple[int, ...]] | None:
        """What each layer but the first has its input's shape changed to, if any has."""
        if self.is_local:
            return None
        return [tuple(data["input"]["shape"][1:]) for data in self.data[1:]]

    def _placed(self, modules: Sequence[nn.Module]) -> list[nn.Module]:
        if not self.is_local:
            return list(modules)
        return [_without_padding(_core(module)) for module in modules]


def stretch_between(
    first: Any, last: Any, topology: "nx.DiGraph[Any]", device: torch.device | str
) -> Stretch:
    """The layers from the first to the last.

    Args:
        first: a node of the topology.
        last: the same, or one that comes after it.
        topology: the graph that `topology_of` returned.
        device: where to measure.

    Returns:
        The stretch.

    Raises:
        ValueError: if there is not a single plain chain of layers between the two.
        TypeError: if a layer is of a kind that cannot be measured.
        EstimationError: if a layer is in training mode and behaves differently there.
    """
    device = torch.device(device)
    nodes = _chain(first, last, topology)
    data = [topology.nodes[node] for node in nodes]
    return Stretch(nodes, data, [_measurable(node, device) for node in nodes], device)


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


def _core(module: nn.Module) -> nn.Module:
    """The module with channels first inside one with channels last."""
    return getattr(module, "inner", module)


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
        if isinstance(module, SLIDING):
            kernel = per_axis(module.kernel_size, n_axes)
            stride = per_axis(module.stride, n_axes)
            dilation = per_axis(getattr(module, "dilation", 1), n_axes)
            reach = [gap * (width - 1) for gap, width in zip(dilation, kernel, strict=True)]
            steps = zip(sizes, stride, reach, strict=True)
            sizes = [(size - 1) * step + extent + 1 for size, step, extent in steps]
    return tuple(sizes)


def _without_padding(module: nn.Module) -> nn.Module:
    if not isinstance(module, SLIDING) or not any(per_axis(module.padding, 1)):
        return module
    module = copy.copy(module)
    module.padding = (0,) * len(per_axis(module.kernel_size, 1))
    if isinstance(module, CONVOLUTIONS):
        module.padding_mode = "zeros"
    return module
