"""Where values come from while they flow through a network, and the graph that this makes."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import networkx as nx


@dataclass(eq=False)
class Call:
    """One call of a layer, and what becomes of its output.

    Attributes:
        layer: the node.
        uses: how many operations have taken the output as it is.
        activation: the activation that one of them was.
    """

    layer: Any
    uses: int = 0
    activation: Any = None


@dataclass(frozen=True)
class Trace:
    """Where the values of a tensor come from.

    Attributes:
        sources: the nodes whose outputs they were computed from.
        activation: the activation all of them have passed since.
        pending: the call whose output they are, if they are nothing else and no activation has
            been applied yet.
        own: the activation that has been applied to the output of a single call.
        is_plain: whether they are the output of a single node, activated and reshaped at most.
        is_input: whether they are values of the network's input, in whatever order.
    """

    sources: frozenset[Any] = frozenset()
    activation: Any = None
    pending: Call | None = None
    own: Any = None
    is_plain: bool = True
    is_input: bool = False

    def changed(self) -> "Trace":
        """The trace after an operation that keeps none of the values."""
        return Trace(self.sources, is_plain=False)

    def selected(self) -> "Trace":
        """The trace after an operation that keeps some of the values, or means of them."""
        return replace(self, pending=None, is_plain=False)


def merged(traces: Sequence[Trace]) -> Trace:
    """The trace of what is computed from several tensors."""
    if len(traces) == 1:
        return traces[0]
    kinds = {type(trace.activation) for trace in traces}
    return Trace(
        frozenset().union(*(trace.sources for trace in traces)),
        traces[0].activation if len(kinds) == 1 else None,
        is_plain=False,
        is_input=bool(traces) and all(trace.is_input for trace in traces),
    )


@dataclass
class TopologyBuilder:
    """Collects nodes and edges while the data flows.

    An output that more than one operation takes as it is has no activation of its own: a gate such
    as y * sigmoid(y) is no sigmoid.
    """

    _graph: "nx.DiGraph[Any]" = field(default_factory=nx.DiGraph)
    _calls: list[Call] = field(default_factory=list)

    def add(
        self,
        layer: Any,
        inputs: Sequence[Trace],
        in_shape: tuple[int, ...],
        out_shape: tuple[int, ...],
        *,
        keeps_range: bool,
    ) -> Trace:
        """Record that a layer has turned its inputs into one output, and trace the output.

        A layer that is used again keeps the shapes of its first use, and gets the edges of all.
        """
        self.use(inputs)
        trace = merged(inputs)
        if layer not in self._graph:
            self._graph.add_node(
                layer,
                input={"activation": trace.activation, "shape": in_shape},
                output={"activation": None, "shape": out_shape},
                takes_input=trace.is_input,
            )
        for source in trace.sources:
            ways = self._graph.get_edge_data(source, layer, {"ways": []})["ways"]
            self._graph.add_edge(source, layer, ways=[*ways, trace])
        call = Call(layer)
        self._calls.append(call)
        if not keeps_range:
            return Trace(frozenset([layer]), None, call)
        return Trace(frozenset([layer]), trace.activation, call, is_input=trace.is_input)

    def use(self, traces: Sequence[Trace]) -> None:
        """Record that an operation takes these values."""
        for call in {trace.pending for trace in traces if trace.pending is not None}:
            call.uses += 1

    def activate(self, trace: Trace, activation: Any) -> Trace:
        """Record that an activation has been applied, and trace what comes out."""
        self.use([trace])
        if trace.pending is None:
            return Trace(trace.sources, activation, is_plain=False)
        trace.pending.activation = activation
        return replace(trace, activation=activation, pending=None, own=activation, is_input=False)

    def graph(self) -> "nx.DiGraph[Any]":
        """What has been collected, once all data has flowed."""
        for call in reversed(self._calls):  # the first call of a layer has the last word
            activation = call.activation if call.uses == 1 else None
            self._graph.nodes[call.layer]["output"]["activation"] = activation
        for source, _, data in self._graph.edges(data=True):
            applied = self._graph.nodes[source]["output"]["activation"]
            ways = data.pop("ways")
            data["is_plain"] = all(way.is_plain and way.own is applied for way in ways)
        return self._graph
