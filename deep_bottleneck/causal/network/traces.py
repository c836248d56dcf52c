"""Where values come from while they flow through a network, and the graph that this makes."""

from dataclasses import dataclass, field, replace
from typing import Any

import networkx as nx


@dataclass(frozen=True)
class Trace:
    """Where the values of a tensor come from.

    Attributes:
        sources: the nodes whose outputs they were computed from.
        activation: the activation all of them have passed since.
        pending: the node whose output they are, if they are nothing else and no activation
            has been applied yet.
        is_plain: whether they are the output of a single node, activated and reshaped at most.
    """

    sources: frozenset[Any] = frozenset()
    activation: Any = None
    pending: Any = None
    is_plain: bool = True

    def changed(self) -> "Trace":
        """The trace after an operation that keeps none of the values."""
        return Trace(self.sources, is_plain=False)

    def selected(self) -> "Trace":
        """The trace after an operation that keeps some of the values, or means of them."""
        return replace(self, pending=None, is_plain=False)


def merged(traces: list[Trace]) -> Trace:
    """The trace of what is computed from several tensors."""
    if len(traces) == 1:
        return traces[0]
    kinds = {type(trace.activation) for trace in traces}
    return Trace(
        frozenset().union(*(trace.sources for trace in traces)),
        traces[0].activation if len(kinds) == 1 else None,
        is_plain=False,
    )


@dataclass
class TopologyBuilder:
    """Collects nodes and edges while the data flows.

    Attributes:
        graph: what has been collected.
    """

    graph: "nx.DiGraph[Any]" = field(default_factory=nx.DiGraph)

    def add(
        self,
        module: Any,
        inputs: list[Trace],
        in_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        *,
        keeps_range: bool,
    ) -> Trace:
        """Record that a module has turned its inputs into one output, and trace the output.

        A module that is used again keeps the shapes of its first use, and gets the edges of all.
        """
        trace = merged(inputs)
        if module not in self.graph:
            self.graph.add_node(
                module,
                input={"activation": trace.activation, "shape": in_shape},
                output={"activation": None, "shape": out_shape},
            )
        for source in trace.sources:
            is_plain = trace.is_plain and self.graph.get_edge_data(source, module, {}).get(
                "is_plain", True
            )
            self.graph.add_edge(source, module, is_plain=is_plain)
        return Trace(frozenset([module]), trace.activation if keeps_range else None, pending=module)

    def activate(self, trace: Trace, activation: Any) -> Trace:
        """Record that an activation has been applied, and trace what comes out."""
        if trace.pending is not None:
            output = self.graph.nodes[trace.pending]["output"]
            if output["activation"] is None:
                output["activation"] = activation
            is_plain = output["activation"] is activation
        else:
            is_plain = False
        return Trace(trace.sources, activation, is_plain=is_plain)
