"""Effective information: how much of what a layer is made to do can be seen in what it does.

By injecting noise, with the interface of deep-ei (`measures`, `plane`), and of the weights alone,
with that of torch-foresight (`weight_graph`). Everything is in bits. A `Channel` is the engine
below: `measures_of` looks at the same layer of many runs at once.
"""

from deep_bottleneck.causal.injection.channel import Channel, stacked
from deep_bottleneck.causal.measures import (
    ei,
    ei_parts,
    ei_parts_matrix,
    eis_between_groups,
    sensitivity,
    sensitivity_matrix,
    vector_and_pairwise_ei,
)
from deep_bottleneck.causal.network.layers import LayerOptions, channel_of
from deep_bottleneck.causal.network.modules import Projection
from deep_bottleneck.causal.network.topology import topology_of
from deep_bottleneck.causal.plane import (
    CausalPlane,
    causal_plane,
    degeneracy,
    determinism,
    measures_of,
)
from deep_bottleneck.causal.series import MI, nats_to_bits

__all__ = [
    "MI",
    "CausalPlane",
    "Channel",
    "LayerOptions",
    "Projection",
    "causal_plane",
    "channel_of",
    "degeneracy",
    "determinism",
    "ei",
    "ei_parts",
    "ei_parts_matrix",
    "eis_between_groups",
    "measures_of",
    "nats_to_bits",
    "sensitivity",
    "sensitivity_matrix",
    "stacked",
    "topology_of",
    "vector_and_pairwise_ei",
]
