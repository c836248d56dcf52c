"""Functions of one run, traced into a list of operations on all runs at once."""

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.fx import GraphModule, Node
from torch.fx.experimental.proxy_tensor import make_fx

_RESHAPES = frozenset(
    {
        torch.ops.aten.view.default,
        torch.ops.aten._unsafe_view.default,
        torch.ops.aten.expand.default,
    }
)


def vectorised(
    function: Callable[..., Any], arguments: Sequence[Any], n_stacked: int
) -> GraphModule:
    """Trace a function, vectorised over runs.

    Args:
        function: of one run.
        arguments: what it is called with; the shapes must stay the same later.
        n_stacked: how many of the arguments have a leading run axis; all runs share the others.

    Returns:
        The operations, which wait for no device and copy nothing from the host.
    """
    axes = (0,) * n_stacked + (None,) * (len(arguments) - n_stacked)
    # a lambda, since make_fx counts the parameters of what vmap wraps
    over_runs = torch.vmap(lambda *one_run: function(*one_run), in_dims=axes)
    traced = make_fx(over_runs)(*arguments)
    drop_idle(traced)
    fold_constants(traced)
    return traced


def fold_constants(traced: GraphModule) -> None:
    """Compute once what depends on no argument, such as an optimizer's rates as tensors.

    Otherwise each step would make them anew, and on a CUDA device copy them there from the host,
    which no CUDA graph can hold. A graph that writes into such a value is left as it is.
    """
    values: dict[Node, Any] = {}
    for node in traced.graph.nodes:
        if node.op == "get_attr":
            values[node] = getattr(traced, node.target)
        elif node.op == "call_function" and all(
            source in values for source in node.all_input_nodes
        ):
            if not _is_pure(node):
                return
            arguments = torch.fx.map_arg((node.args, node.kwargs), values.__getitem__)
            positional, keywords = arguments
            with torch.no_grad():
                values[node] = node.target(*positional, **keywords)
    if any(not _is_pure(user) for node in values for user in node.users):
        return
    for number, (node, value) in enumerate(values.items()):
        outside = [user for user in node.users if user not in values]
        if node.op == "get_attr" or not outside or not isinstance(value, torch.Tensor):
            continue
        name = f"folded_{number}"
        traced.register_buffer(name, value, persistent=False)
        with traced.graph.inserting_after(node):
            folded = traced.graph.get_attr(name)
        for user in outside:
            user.replace_input_with(node, folded)
    for node in reversed(values):
        if not node.users:
            traced.graph.erase_node(node)
    traced.recompile()


def drop_idle(traced: GraphModule) -> None:
    """Leave out changes of shape that change nothing, and what nobody uses.

    That is a third of what is written down for a small network; each takes a microsecond or two,
    as much as arithmetic on one of its layers does.
    """
    for node in list(traced.graph.nodes):
        if node.target in _RESHAPES and _layout(node.args[0]) == _layout(node):
            node.replace_all_uses_with(node.args[0])
            traced.graph.erase_node(node)
    traced.graph.eliminate_dead_code()
    traced.recompile()


def _layout(node: Node) -> tuple[torch.Size, tuple[int, ...]] | None:
    """Shape and strides of a result; None for a value from outside the function."""
    if "tensor_meta" not in node.meta:
        return None
    metadata = node.meta["tensor_meta"]
    return metadata.shape, metadata.stride


def _is_pure(node: Node) -> bool:
    """Whether a node writes into none of its arguments and draws no random numbers."""
    if node.op != "call_function" or node.target is operator.getitem:
        return True
    if not isinstance(node.target, torch._ops.OpOverload):
        return False
    random = torch.Tag.nondeterministic_seeded in node.target.tags
    return not (node.target._schema.is_mutable or random)
