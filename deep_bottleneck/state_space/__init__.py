"""How much of its state space does a layer use? Firing states, efficiency and aIQ.

A neuron fires where its activation is above zero; the firing of all neurons of a layer is its
state. The efficiency of a layer is the entropy of the states it takes, divided by its number of
neurons; that of the network is the geometric mean over its layers; aIQ weighs it against accuracy.
Schaub and Hotaling, "Assessing Intelligence in Artificial Neural Networks", 2020, arXiv:2006.02909.

    import deep_bottleneck.state_space as ts

    model = ts.build_efficiency_model(model, attach_to=["Conv2d"])
    model(images)
    for layer in model.efficiency_layers:
        layer.name, layer.state_count, layer.efficiency()
    ts.aIQ(ts.network_efficiency(model), accuracy, weight=2)

Which axis of an activation counts the neurons is found out or asked for, and never guessed; a layer
that is called twice is two places. PyTorch networks need no Keras; `StateCapture`, the probe for
Keras, imports it when it is used.
"""

from typing import Any

from deep_bottleneck.state_space.capture import AbstractStateCapture
from deep_bottleneck.state_space.efficiency import aIQ, entropy, network_efficiency
from deep_bottleneck.state_space.models import build_efficiency_model, reset_efficiency_model
from deep_bottleneck.state_space.states import compress_states, decompress_states, sort_states
from deep_bottleneck.state_space.torch_capture import StateCaptureHook

__all__ = [
    "AbstractStateCapture",
    "StateCapture",
    "StateCaptureHook",
    "aIQ",
    "build_efficiency_model",
    "compress_states",
    "decompress_states",
    "entropy",
    "network_efficiency",
    "reset_efficiency_model",
    "sort_states",
]


def __getattr__(name: str) -> Any:
    if name == "StateCapture":
        from deep_bottleneck.state_space.keras_capture import StateCapture

        return StateCapture
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
