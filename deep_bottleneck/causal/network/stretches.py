"""A chain of layers, and the modules that compute what they do."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import networkx as nx
import torch
from torch import nn
from torch.nn.utils import parametrize

from deep_bottleneck.causal.injection.channel import stacked
from deep_bottleneck.causal.injection.ranges import Activation
from deep_bottleneck.causal.network.kinds import (
    AFFINE,
    ALONE,
    DROPOUT,
    NORMALISATION,
    SLIDING,
    SUPPORTED,
    TRANSPOSED,
    is_keras,
)
from deep_bottleneck.causal.network.modules import Projection
from deep_bottleneck.causal.network.sites import (
    alone,
    in_float32,
    on_neurons,
    patch,
    without_padding,
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
        passed = [data["output"] for data in self.data[:-1]]
        if not self.is_local and not self.is_of_tokens:
            return [output["activation"] for output in passed]
        first = self.is_local and self.cores[0] is self.modules[0]
        return [
            on_neurons(
                output["activation"],
                tuple(output["shape"]),
                1 if first else -1,
                1 if self.is_local else -1,
            )
            for output in passed
        ]

    def activated(self, activation: Activation | None) -> Activation | None:
        """An activation, as the network would apply it, for the flattened outputs of `function`."""
        return on_neurons(activation, self.out_shape, self.neurons)

    @property
    def cores(self) -> list[nn.Module]:
        """The modules, with channels first."""
        return [_core(module) for module in self.modules]

    @property
    def out_shape(self) -> tuple[int, ...]:
        """The shape of the output, with the batch."""
        return tuple(self.data[-1]["output"]["shape"])

    @property
    def neurons(self) -> int | None:
        """The axis of the output on which its neurons are, None if all of it is measured."""
        if self.is_local and self.cores[-1] is self.modules[-1]:
            return 1
        if isinstance(self.cores[-1], TRANSPOSED) and len(self.nodes) == 1:
            return 1
        return -1 if self.is_local or self.is_of_tokens or self._alone else None

    @cached_property
    def is_of_tokens(self) -> bool:
        """Whether the layers do the same to each token, the last axis being its features."""
        shapes = [data[end]["shape"] for data in self.data for end in ("input", "output")]
        return (
            any(isinstance(core, nn.Linear | nn.LayerNorm | nn.RMSNorm) for core in self.cores)
            and all(_is_of_tokens(core) for core in self.cores)
            and len({tuple(shape[:-1]) for shape in shapes}) == 1
        )

    @cached_property
    def _alone(self) -> tuple[nn.Module, tuple[int, ...]] | None:
        (core, *more) = self.cores
        return None if more else alone(core)

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
        """The shape of one input: of a token, or of a patch with channels first, or the whole."""
        if self._alone is not None:
            return self._alone[1]
        shape = tuple(self.data[0]["input"]["shape"])
        if self.is_of_tokens:
            return shape[-1:]
        in_shape = shape[1:]
        if not self.is_local:
            return in_shape
        n_channels = in_shape[0] if self.cores[0] is self.modules[0] else in_shape[-1]
        return (n_channels, *patch(self.cores, len(in_shape) - 1))

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
        if self.is_local or self.is_of_tokens:
            return None
        return [tuple(data["input"]["shape"][1:]) for data in self.data[1:]]

    def _placed(self, modules: Sequence[nn.Module]) -> list[nn.Module]:
        if self._alone is not None:
            return [found[0] for module in modules if (found := alone(_core(module)))]
        if not self.is_local:
            return list(modules)
        return [without_padding(_core(module)) for module in modules]


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
    for node, known in zip(nodes, data, strict=True):
        if len(nodes) > 1 and isinstance(node, ALONE):
            raise TypeError(f"{node} is measured by itself, and not in a stretch of layers")
        if 0 in (*known["input"]["shape"][1:], *known["output"]["shape"][1:]):
            raise ValueError(f"{node} has no inputs or no outputs: there is nothing to measure")
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

        return in_float32(as_module(node)).to(device)
    module = node.linear() if isinstance(node, Projection) else node
    if not isinstance(module, SUPPORTED):
        kinds = ", ".join(sorted({kind.__name__ for kind in SUPPORTED}))
        raise TypeError(f"{node} cannot be measured; modules that can are: {kinds}")
    if _is_unsettled(module):
        raise EstimationError(
            f"the outputs of {node} depend on the batch or on chance, as it is in training mode or "
            "keeps no running statistics: call eval() on the network first"
        )
    return in_float32(module)


def _is_unsettled(module: nn.Module) -> bool:
    statistics = getattr(module, "running_mean", None)
    if isinstance(module, NORMALISATION) and statistics is None:
        return True
    # such as spectral normalisation, which takes a step whenever the weight is looked at
    has_state = parametrize.is_parametrized(module) and any(True for _ in module.buffers())
    return module.training and (
        statistics is not None or has_state or isinstance(module, (*NORMALISATION, *DROPOUT))
    )


def _is_of_tokens(core: nn.Module) -> bool:
    if isinstance(core, nn.LayerNorm | nn.RMSNorm):
        return len(core.normalized_shape) == 1
    return isinstance(core, (nn.Linear, *DROPOUT[:1]))


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
