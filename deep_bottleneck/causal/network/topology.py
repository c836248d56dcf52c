"""Which module feeds which: the graph of a network, traced by running it once."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from deep_bottleneck.causal.injection.ranges import ACTIVATIONS
from deep_bottleneck.causal.network.kinds import RANGE_PRESERVING, is_keras
from deep_bottleneck.causal.network.traces import TopologyBuilder, Trace, merged

if TYPE_CHECKING:
    import networkx as nx

_ACTIVATION_CALLS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu6": nn.ReLU6, "elu": nn.ELU,
    "selu": nn.SELU, "gelu": nn.GELU, "silu": nn.SiLU, "leaky_relu": nn.LeakyReLU,
    "softplus": nn.Softplus, "hardtanh": nn.Hardtanh, "softsign": nn.Softsign,
}  # fmt: skip
_RESHAPING_CALLS = frozenset({
    "view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "contiguous", "clone",
    "detach", "to", "float", "double",
})  # fmt: skip
_REORDERING_CALLS = frozenset({"permute", "transpose", "movedim", "t", "__get__"})  # tensor.T
_SELECTING_CALLS = frozenset({
    "__getitem__", "chunk", "split", "narrow", "select", "index_select", "cat", "concat",
    "concatenate", "stack", "dropout", "max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d",
    "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d", "adaptive_avg_pool2d",
    "adaptive_avg_pool3d", "boolean_dispatch",
})  # fmt: skip


def topology_of(model: Any, input: Any) -> "nx.DiGraph[Any]":  # noqa: A002 - the name deep-ei uses
    """The graph of a network: its modules, and which of them feeds which.

    The network is run once, in evaluation mode and without gradients, and its data is followed
    through modules, reshaping, skip connections, concatenation and other operations.

    Args:
        model: a `torch.nn.Module`, or a Keras model that is Sequential or Functional.
        input: a valid input to the network, or a tuple of them, with a batch axis. A Keras model
            knows its input's shape, and this may be None.

    Returns:
        A graph whose nodes are the modules without children, other than activations, with the
        data `{"input": {"activation", "shape"}, "output": {"activation", "shape"}}`: the
        activation that the module's inputs have passed and that its outputs pass, or None, and
        shapes with the batch axis. Edges carry `is_plain`: whether nothing but an activation and a
        change of shape happens on the way.

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
        graph = _Tracer().run(model, inputs)
    if not graph:
        raise ValueError(f"{model} has no modules to make a graph of")
    return graph


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients, and afterwards each module's own mode again."""
    training = {module: module.training for module in model.modules()}
    try:
        model.eval()
        with torch.no_grad():
            yield
    finally:
        for module, mode in training.items():
            module.training = mode


class _Tracer(TorchFunctionMode):
    """Follows tensors through modules by hooks, and between them by intercepting functions."""

    def __init__(self) -> None:
        super().__init__()
        self._builder = TopologyBuilder()
        self._traces: dict[int, tuple[torch.Tensor, Trace]] = {}  # holds on to the tensors' ids
        self._depth = 0

    def run(self, model: nn.Module, inputs: tuple[Any, ...]) -> "nx.DiGraph[Any]":
        leaves = [module for module in model.modules() if not any(module.children())]
        handles = [module.register_forward_pre_hook(self._enter) for module in leaves]
        handles += [
            module.register_forward_hook(self._leave, with_kwargs=True) for module in leaves
        ]
        for tensor in _tensors(inputs):
            self._set(tensor, Trace())
        try:
            with self:
                model(*inputs)
        finally:
            for handle in handles:
                handle.remove()
        return self._builder.graph

    def _enter(self, _module: nn.Module, _args: Any) -> None:
        self._depth += 1

    def _leave(self, module: nn.Module, args: Any, kwargs: dict[str, Any], result: Any) -> None:
        self._depth -= 1
        tensors = _tensors((args, kwargs))
        traces = self._get(tensors)
        outputs = _tensors(result)
        if not tensors or not outputs:
            return
        if isinstance(module, nn.Identity):
            trace = merged(traces)
        elif isinstance(module, ACTIVATIONS):
            trace = self._builder.activate(merged(traces), module)
        else:
            shapes = tuple(tensors[0].shape), tuple(outputs[0].shape)
            keeps_range = isinstance(module, RANGE_PRESERVING)
            trace = self._builder.add(module, traces, *shapes, keeps_range=keeps_range)
        for tensor in outputs:
            self._set(tensor, trace)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if self._depth:
            return func(*args, **kwargs)
        traces = self._get(_tensors((args, kwargs)))  # before an in-place operation
        result = func(*args, **kwargs)
        if traces:
            trace = self._after(func.__name__, merged(traces), args, kwargs)
            for tensor in _tensors(result):
                self._set(tensor, trace)
        return result

    def _after(
        self, name: str, trace: Trace, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Trace:
        if not name.endswith("__"):
            name = name.removesuffix("_")  # in place
        if name in _ACTIVATION_CALLS:
            options = {key: value for key, value in kwargs.items() if key not in ("input", "out")}
            return self._builder.activate(trace, _ACTIVATION_CALLS[name](*args[1:], **options))
        if name in _RESHAPING_CALLS:
            return trace
        if name in _REORDERING_CALLS:
            return replace(trace, is_plain=False)
        return trace.selected() if name in _SELECTING_CALLS else trace.changed()

    def _get(self, tensors: list[torch.Tensor]) -> list[Trace]:
        return [self._traces[id(tensor)][1] for tensor in tensors if id(tensor) in self._traces]

    def _set(self, tensor: torch.Tensor, trace: Trace) -> None:
        self._traces[id(tensor)] = (tensor, trace)


def _tensors(values: Any) -> list[torch.Tensor]:
    """The tensors in nested tuples, lists and dictionaries."""
    if isinstance(values, torch.Tensor):
        return [values]
    if isinstance(values, dict):
        values = values.values()
    elif not isinstance(values, tuple | list):
        return []
    return [tensor for value in values for tensor in _tensors(value)]
