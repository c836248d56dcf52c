"""Which module feeds which: the graph of a network, traced by running it once."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from deep_bottleneck.causal.injection.ranges import ACTIVATIONS
from deep_bottleneck.causal.network.applied import acts_on_each_value, as_activation
from deep_bottleneck.causal.network.kinds import RANGE_PRESERVING, is_keras
from deep_bottleneck.causal.network.modules import (
    PARTS,
    Projection,
    evaluating,
    modules_of,
    tensors_in,
)
from deep_bottleneck.causal.network.traces import TopologyBuilder, Trace, merged

if TYPE_CHECKING:
    import networkx as nx

_RESHAPING_CALLS = frozenset({
    "view", "view_as", "reshape", "reshape_as", "ravel", "flatten", "unflatten", "squeeze",
    "unsqueeze", "contiguous", "clone", "detach", "to", "type", "type_as", "float", "double",
    "half", "bfloat16", "cpu", "cuda",
})  # fmt: skip
_REORDERING_CALLS = frozenset({
    "permute", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis", "t", "adjoint", "flip",
    "fliplr", "flipud", "roll", "rot90", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle",
    "__get__",  # tensor.T
})  # fmt: skip
_SELECTING_CALLS = frozenset({
    "__getitem__", "chunk", "split", "split_with_sizes", "tensor_split", "hsplit", "vsplit",
    "dsplit", "unbind", "narrow", "select", "index_select", "take", "take_along_dim", "gather",
    "masked_select", "cat", "concat", "concatenate", "stack", "hstack", "vstack", "dstack",
    "column_stack", "row_stack", "expand", "expand_as", "broadcast_to", "repeat", "tile",
    "repeat_interleave", "mean", "median", "amax", "amin", "dropout",
    "max_pool1d", "max_pool2d", "max_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d",
    "adaptive_max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d",
    "adaptive_avg_pool2d", "adaptive_avg_pool3d", "boolean_dispatch",
})  # fmt: skip


def topology_of(
    model: Any,
    input: Any,  # noqa: A002 - the name deep-ei uses
    keywords: Mapping[str, Any] | None = None,
) -> "nx.DiGraph[Any]":
    """The graph of a network: its modules, and which of them feeds which.

    The network is run once, in evaluation mode and without gradients, and its data is followed
    through modules, reshaping, skip connections, concatenation and other operations.

    Args:
        model: a `torch.nn.Module`, or a Keras model that is Sequential or Functional.
        input: a valid input to the network, or a tuple of them, with a batch axis. A Keras model
            knows its input's shape, and this may be None.
        keywords: further inputs by their names.

    Returns:
        A graph whose nodes are the modules without children, other than activations, and the
        projections of attention, with the data `{"input": {"activation", "shape"}, "output":
        {"activation", "shape"}}`: the activation that the module's inputs have passed and that its
        outputs pass, or None, and shapes with the batch axis. An output that is used more than
        once before any activation has none of its own. `takes_input` says whether the module's
        inputs are values of the network's. Edges carry `is_plain`: whether nothing but an
        activation and a change of shape happens on the way.

    Raises:
        TypeError: if the model is neither.
        ValueError: if it contains no modules to make a graph of, or a Keras model has no graph.

    Example:
        >>> network = nn.Sequential(nn.Linear(42, 20), nn.Sigmoid(), nn.Linear(20, 10))
        >>> topology = topology_of(network, input=torch.zeros((1, 42)))
        >>> topology.nodes[network[0]]["output"]
        {'activation': Sigmoid(), 'shape': (1, 20)}
    """
    if is_keras(model):
        from deep_bottleneck.causal.network.keras_layers import keras_topology

        return keras_topology(model)
    if not isinstance(model, nn.Module):
        raise TypeError(f"expected a torch.nn.Module or a Keras model, got {type(model).__name__}")
    inputs = input if isinstance(input, tuple) else (input,)
    with evaluating(model):
        graph = _Tracer().run(model, inputs, keywords or {})
    if not graph:
        raise ValueError(f"{model} has no modules to make a graph of")
    return graph


class _Tracer(TorchFunctionMode):
    """Follows tensors through modules by hooks, and between them by intercepting functions."""

    def __init__(self) -> None:
        super().__init__()
        self._builder = TopologyBuilder()
        self._traces: dict[int, tuple[torch.Tensor, Trace]] = {}  # holds on to the tensors' ids
        self._depth = 0

    def run(
        self, model: nn.Module, inputs: tuple[Any, ...], keywords: Mapping[str, Any]
    ) -> "nx.DiGraph[Any]":
        handles = []
        for module in modules_of(model):
            leave = self._attended if isinstance(module, nn.MultiheadAttention) else self._leave
            handles.append(module.register_forward_pre_hook(self._enter))
            handles.append(module.register_forward_hook(leave, with_kwargs=True))
        for tensor in tensors_in((inputs, dict(keywords))):
            self._set(tensor, Trace(is_input=True))
        try:
            with self:
                model(*inputs, **keywords)
        finally:
            for handle in handles:
                handle.remove()
        return self._builder.graph()

    def _enter(self, _module: nn.Module, _args: Any) -> None:
        self._depth += 1

    def _leave(self, module: nn.Module, args: Any, kwargs: dict[str, Any], result: Any) -> None:
        self._depth -= 1
        tensors = tensors_in((args, kwargs))
        traces = self._get(tensors)
        outputs = tensors_in(result)
        if not tensors or not outputs:
            return
        if isinstance(module, nn.Identity):
            trace = merged(traces)
        elif isinstance(module, ACTIVATIONS) or _is_own_activation(module, tensors):
            trace = self._builder.activate(merged(traces), module)
        else:
            shapes = tuple(tensors[0].shape), tuple(outputs[0].shape)
            keeps_range = isinstance(module, RANGE_PRESERVING)
            trace = self._builder.add(module, traces, *shapes, keeps_range=keeps_range)
        for tensor in outputs:
            self._set(tensor, trace)

    def _attended(
        self, module: nn.MultiheadAttention, args: Any, kwargs: dict[str, Any], result: Any
    ) -> None:
        """Attention: three projections, something that is no layer, and one more projection."""
        self._depth -= 1
        given = dict(zip(PARTS, args, strict=False)) | kwargs
        projected = []
        for part in PARTS:
            values = given[part]
            shapes = tuple(values.shape), (*values.shape[:-1], module.embed_dim)
            layer, traces = Projection(module, part), self._get([values])
            projected.append(self._builder.add(layer, traces, *shapes, keeps_range=False))
        self._builder.use(projected)
        output, weights = result
        shape = tuple(output.shape)
        mixed = merged(projected).changed()
        self._set(
            output, self._builder.add(module.out_proj, [mixed], shape, shape, keeps_range=False)
        )
        for tensor in tensors_in(weights):
            self._set(tensor, merged(projected[:2]).changed())

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if self._depth:
            return func(*args, **kwargs)
        followed = [given for given in tensors_in((args, kwargs)) if id(given) in self._traces]
        traces = self._get(followed)  # before an in-place operation
        result = func(*args, **kwargs)
        outputs = tensors_in(result)
        if traces and outputs:
            trace = self._after(func, args, kwargs, followed, traces)
            for tensor in outputs:
                self._set(tensor, trace)
        return result

    def _after(
        self,
        func: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        followed: list[torch.Tensor],
        traces: list[Trace],
    ) -> Trace:
        name, trace = func.__name__, merged(traces)
        if not name.endswith("__"):
            name = name.removesuffix("_")  # in place
        if name in _RESHAPING_CALLS:
            return trace
        if name in _REORDERING_CALLS:
            return replace(trace, is_plain=False)
        if name not in _SELECTING_CALLS and len(followed) == 1:
            activation = as_activation(func, args, kwargs, followed[0])
            if activation is not None:
                return self._builder.activate(trace, activation)
        self._builder.use(traces)
        return trace.selected() if name in _SELECTING_CALLS else trace.changed()

    def _get(self, tensors: list[torch.Tensor]) -> list[Trace]:
        return [self._traces[id(tensor)][1] for tensor in tensors if id(tensor) in self._traces]

    def _set(self, tensor: torch.Tensor, trace: Trace) -> None:
        self._traces[id(tensor)] = (tensor, trace)


def _is_own_activation(module: nn.Module, inputs: list[torch.Tensor]) -> bool:
    """Whether a module without weights is an activation that torch does not have."""
    has_weights = any(True for _ in (*module.parameters(), *module.buffers()))
    return not has_weights and len(inputs) == 1 and acts_on_each_value(module.forward, inputs[0])
