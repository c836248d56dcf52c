"""Keras layers, of any backend, as the PyTorch modules that compute the same.

A fused activation is not part of the module: it goes into the topology, like one that is a layer.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import torch
from torch import nn

from deep_bottleneck.causal.network.traces import TopologyBuilder, Trace, merged

if TYPE_CHECKING:
    import networkx as nx

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "softmax": lambda: nn.Softmax(dim=-1),
    "elu": nn.ELU, "selu": nn.SELU, "gelu": nn.GELU, "silu": nn.SiLU, "softplus": nn.Softplus,
    "softsign": nn.Softsign, "relu6": nn.ReLU6, "hard_sigmoid": nn.Hardsigmoid,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),  # the slope of Keras' function
}  # fmt: skip
_POOLING: dict[type[Any], type[nn.Module]] = {
    keras.layers.MaxPooling1D: nn.MaxPool1d, keras.layers.MaxPooling2D: nn.MaxPool2d,
    keras.layers.MaxPooling3D: nn.MaxPool3d, keras.layers.AveragePooling1D: nn.AvgPool1d,
    keras.layers.AveragePooling2D: nn.AvgPool2d, keras.layers.AveragePooling3D: nn.AvgPool3d,
}  # fmt: skip
_CONVOLUTIONS: dict[type[Any], type[Any]] = {
    keras.layers.Conv1D: nn.Conv1d, keras.layers.Conv2D: nn.Conv2d, keras.layers.Conv3D: nn.Conv3d,
}  # fmt: skip
_ACTIVATION_LAYERS = (
    keras.layers.Activation, keras.layers.ReLU, keras.layers.Softmax, keras.layers.LeakyReLU,
    keras.layers.ELU, keras.layers.PReLU,
)  # fmt: skip
RANGE_KEEPING = (*_POOLING, keras.layers.Flatten, keras.layers.Dropout)
_PASSING = (keras.layers.InputLayer, keras.layers.Identity)


class ChannelsLast(nn.Module):
    """A module that expects channels first, for values with channels last.

    Attributes:
        inner: the module.
        pads: whether Keras would pad in a way that the module cannot.
    """

    def __init__(self, inner: nn.Module, *, pads: bool = False) -> None:
        super().__init__()
        self.inner = inner
        self.pads = pads

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Apply the module to values of shape (batch, ..., channels)."""
        if self.pads:
            raise ValueError(
                f'{self.inner} with padding="causal", or "same" and strides, cannot be part of a '
                "longer stretch of layers: measure it apart"
            )
        outputs: torch.Tensor = self.inner(values.movedim(-1, 1))
        return outputs.movedim(1, -1)


def as_module(layer: Any) -> nn.Module:
    """A module that computes the same as a Keras layer, without its activation.

    Args:
        layer: Dense, Conv, MaxPooling, AveragePooling (each 1D to 3D), Flatten, BatchNormalization
            or Dropout, built.

    Returns:
        A module in evaluation mode with a copy of the layer's weights as they are now.

    Raises:
        TypeError: if the layer is of another kind.
        ValueError: if it has not been built.
    """
    if not layer.built:
        raise ValueError(f"the Keras layer {layer.name} has no weights yet: build it first")
    if isinstance(layer, keras.layers.Dense):
        module = _with_weights(nn.Linear(*layer.kernel.shape), layer, (1, 0))
    elif type(layer) in _CONVOLUTIONS:
        module = _convolution(layer)
    elif type(layer) in _POOLING:
        module = _POOLING[type(layer)](tuple(layer.pool_size), tuple(layer.strides))
        module = _placed(module, layer, pads=layer.padding == "same")
    elif isinstance(layer, keras.layers.BatchNormalization):
        module = _normalisation(layer)
    elif isinstance(layer, keras.layers.Flatten):
        module = nn.Flatten()
    elif isinstance(layer, keras.layers.Dropout):
        module = nn.Dropout(layer.rate)
    else:
        raise TypeError(
            f"the Keras layer {layer.name} ({type(layer).__name__}) cannot be measured; layers "
            "that can are: Dense, Conv, MaxPooling and AveragePooling of one to three dimensions, "
            "Flatten, BatchNormalization, Dropout"
        )
    return module.eval().requires_grad_(False)


def keras_topology(model: Any) -> "nx.DiGraph[Any]":
    """The graph of a Sequential or Functional model, or of a single built layer; see `topology_of`.

    Raises:
        TypeError: if an activation is not known.
        ValueError: if the model has no graph, as a subclass of `keras.Model` has none.
    """
    builder = TopologyBuilder()
    traces: dict[int, Trace] = {}
    for operation, node in _calls(model):
        outcome = _traced(operation, node, traces, builder)
        traces |= {id(tensor): outcome for tensor in node.output_tensors}
    return builder.graph()


def connecting_shapes(model: Any) -> dict[Any, tuple[tuple[int, ...], tuple[int, ...]]]:
    """The shapes of the inputs and outputs of the layers of a model that have connections.

    Those of the first call, of a layer that is called again.

    Raises:
        ValueError: if the model has no graph.
    """
    kinds = (
        keras.layers.Dense, *_CONVOLUTIONS, keras.layers.AveragePooling1D,
        keras.layers.AveragePooling2D, keras.layers.AveragePooling3D,
    )  # fmt: skip
    shapes: dict[Any, tuple[tuple[int, ...], tuple[int, ...]]] = {}
    for layer, node in _calls(model):
        if isinstance(layer, kinds):
            in_and_out = _shape(node.input_tensors[0]), _shape(node.output_tensors[0])
            shapes.setdefault(layer, in_and_out)
    return shapes


def _calls(model: Any) -> Iterator[tuple[Any, Any]]:
    """The operations of a model, and the node of each of their calls, as the data flows."""
    symbolic = getattr(model, "inputs", None)
    if symbolic:
        function = keras.Function(symbolic, model.outputs)
    elif isinstance(model, keras.Model):
        raise ValueError(
            f"the Keras model {model.name} has no graph: build it, or make it Sequential or "
            "Functional"
        )
    else:
        given = keras.Input(batch_shape=(1, *model.get_build_config()["input_shape"][1:]))
        function = keras.Function(given, model(given))
    known: set[int] = set()
    for operation in function.operations:
        for node in operation._inbound_nodes:
            if all(id(tensor) in known for tensor in node.input_tensors):
                known |= {id(tensor) for tensor in node.output_tensors}
                yield operation, node


def _traced(operation: Any, node: Any, traces: dict[int, Trace], builder: TopologyBuilder) -> Trace:
    inputs = [traces[id(tensor)] for tensor in node.input_tensors]
    if isinstance(operation, _PASSING):
        return inputs[0] if inputs else Trace()
    together = merged(inputs)
    if isinstance(operation, keras.layers.Concatenate):
        builder.use(inputs)
        return together.selected()
    if isinstance(operation, _ACTIVATION_LAYERS):
        return builder.activate(together, _activation_of(operation))
    if isinstance(operation, keras.layers.Reshape):
        return together
    if not isinstance(operation, keras.Layer) or not _is_node(operation):
        builder.use(inputs)
        return together.changed()
    shapes = _shape(node.input_tensors[0]), _shape(node.output_tensors[0])
    keeps_range = isinstance(operation, RANGE_KEEPING)
    trace = builder.add(operation, inputs, *shapes, keeps_range=keeps_range)
    activation = _activation_of(operation)
    return trace if activation is None else builder.activate(trace, activation)


def _is_node(layer: Any) -> bool:
    merging = (
        keras.layers.Add, keras.layers.Subtract, keras.layers.Multiply, keras.layers.Average,
        keras.layers.Maximum, keras.layers.Minimum, keras.layers.Dot, keras.layers.Permute,
    )  # fmt: skip
    return not isinstance(layer, merging)


def _shape(tensor: Any) -> tuple[int, ...]:
    return (1, *tensor.shape[1:])


def _activation_of(layer: Any) -> nn.Module | None:
    if isinstance(layer, keras.layers.ReLU):
        return _rectifier(layer)
    if isinstance(layer, keras.layers.LeakyReLU):
        return nn.LeakyReLU(float(layer.negative_slope))
    if isinstance(layer, keras.layers.ELU):
        return nn.ELU(float(layer.alpha))
    if isinstance(layer, keras.layers.Softmax):
        return nn.Softmax(dim=-1)
    if isinstance(layer, keras.layers.PReLU):
        raise _unknown("PReLU", layer)
    function = getattr(layer, "activation", None)
    if function is None or function is keras.activations.linear:
        return None
    name = getattr(function, "__name__", type(function).__name__)
    if name not in _ACTIVATIONS:
        raise _unknown(name, layer)
    return _ACTIVATIONS[name]()


def _unknown(activation: str, layer: Any) -> TypeError:
    return TypeError(
        f"the activation {activation} of the Keras layer {layer.name} is not known; those that "
        f"are: {', '.join(_ACTIVATIONS)}"
    )


def _rectifier(layer: Any) -> nn.Module:
    slope = float(layer.negative_slope)
    if layer.threshold or (slope and layer.max_value is not None):
        raise TypeError(
            f"the Keras layer {layer.name} is a ReLU with a threshold, or with a max_value and a "
            "negative_slope together, which is not known: give it at most one of the latter two"
        )
    if layer.max_value is not None:
        return nn.Hardtanh(0.0, float(layer.max_value))
    return nn.LeakyReLU(slope) if slope else nn.ReLU()


def _tensor(variable: Any) -> torch.Tensor:
    """A copy of a variable's value."""
    value = getattr(variable, "value", variable)
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().clone()
    return torch.from_numpy(np.array(keras.ops.convert_to_numpy(value)))


def _with_weights(module: Any, layer: Any, order: tuple[int, ...]) -> nn.Module:
    kernel = _tensor(layer.kernel)
    bias = torch.zeros(module.bias.shape, dtype=kernel.dtype)
    if layer.use_bias:
        bias = _tensor(layer.bias)
    module.weight = nn.Parameter(kernel.permute(order).contiguous())
    module.bias = nn.Parameter(bias)
    return module


def _convolution(layer: Any) -> nn.Module:
    *kernel, channels, filters = layer.kernel.shape
    same = layer.padding == "same" and all(step == 1 for step in layer.strides)
    module = _CONVOLUTIONS[type(layer)](
        channels * layer.groups,
        filters,
        tuple(kernel),
        stride=tuple(layer.strides),
        padding="same" if same else 0,
        dilation=tuple(layer.dilation_rate),
        groups=layer.groups,
    )
    axes = len(kernel)
    module = _with_weights(module, layer, (axes + 1, axes, *range(axes)))
    return _placed(module, layer, pads=layer.padding != "valid" and not same)


def _placed(module: nn.Module, layer: Any, *, pads: bool) -> nn.Module:
    if layer.data_format == "channels_last":
        return ChannelsLast(module, pads=pads)
    return module


def _normalisation(layer: Any) -> nn.Module:
    mean = _tensor(layer.moving_mean)
    variance = _tensor(layer.moving_variance)
    n_axes = len(layer.get_build_config()["input_shape"]) - 2
    kinds = (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    module = kinds[n_axes](len(mean), eps=layer.epsilon)
    module.running_mean, module.running_var = mean, variance
    if layer.scale:
        module.weight = nn.Parameter(_tensor(layer.gamma))
    if layer.center:
        module.bias = nn.Parameter(_tensor(layer.beta))
    return ChannelsLast(module) if n_axes and layer.axis in (-1, n_axes + 1) else module
