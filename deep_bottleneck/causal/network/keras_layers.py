"""Keras layers, of any backend, as the PyTorch modules that compute the same.

A fused activation is not part of the module: it goes into the topology, like one that is a layer.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import torch
from torch import nn

from deep_bottleneck.causal.network.keras_operations import (
    REORDERING,
    RESHAPING,
    SELECTING,
    activation_of_call,
    by_keras,
    is_of_keras,
)
from deep_bottleneck.causal.network.traces import TopologyBuilder, Trace, merged

if TYPE_CHECKING:
    import networkx as nx

_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "softmax": lambda: nn.Softmax(dim=-1),
    "elu": nn.ELU, "selu": nn.SELU, "gelu": nn.GELU, "silu": nn.SiLU, "softplus": nn.Softplus,
    "softsign": nn.Softsign, "relu6": nn.ReLU6, "hard_sigmoid": nn.Hardsigmoid,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),  # the slope of Keras' function
    "log_softmax": lambda: nn.LogSoftmax(dim=-1),
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
RANGE_KEEPING = (
    *_POOLING, keras.layers.Flatten, keras.layers.Dropout, keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D, keras.layers.SpatialDropout3D, keras.layers.GaussianDropout,
    keras.layers.GaussianNoise, keras.layers.AlphaDropout, keras.layers.ActivityRegularization,
    keras.layers.GlobalMaxPooling1D, keras.layers.GlobalMaxPooling2D,
    keras.layers.GlobalMaxPooling3D, keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalAveragePooling2D, keras.layers.GlobalAveragePooling3D,
    keras.layers.UpSampling1D, keras.layers.UpSampling2D, keras.layers.UpSampling3D,
    keras.layers.Cropping1D, keras.layers.Cropping2D, keras.layers.Cropping3D,
    keras.layers.RepeatVector, keras.layers.Masking,
)  # fmt: skip
# what they apply inside a step is none of what comes out
_STEPPING = (keras.layers.RNN, keras.layers.Bidirectional)


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
        layer: Dense, Conv, MaxPooling, AveragePooling (each 1D to 3D), Flatten, BatchNormalization,
            LayerNormalization of the last axis, Embedding or Dropout, built.

    Returns:
        A module in evaluation mode with a copy of the layer's weights as they are now.

    Raises:
        TypeError: if the layer is of another kind, or quantised.
        ValueError: if it has not been built.
    """
    if not layer.built:
        raise ValueError(f"the Keras layer {layer.name} has no weights yet: build it first")
    if is_quantised(layer):
        raise TypeError(
            f"the Keras layer {layer.name} is quantised to {layer.quantization_mode}, so that its "
            "weights are packed: measure it before it is"
        )
    if isinstance(layer, keras.layers.Dense):
        module = _with_weights(nn.Linear(*layer.kernel.shape), layer, (1, 0))
    elif type(layer) in _CONVOLUTIONS:
        module = _convolution(layer)
    elif type(layer) in _POOLING:
        module = _POOLING[type(layer)](tuple(layer.pool_size), tuple(layer.strides))
        module = _placed(module, layer, pads=layer.padding == "same")
    elif isinstance(layer, keras.layers.BatchNormalization):
        module = _normalisation(layer)
    elif isinstance(layer, keras.layers.LayerNormalization) and not _sees_places(layer):
        module = _layer_normalisation(layer)
    elif isinstance(layer, keras.layers.Embedding):
        module = nn.Embedding.from_pretrained(tensor_of(layer.embeddings))
    elif isinstance(layer, keras.layers.Flatten):
        module = nn.Flatten()
    elif isinstance(layer, keras.layers.Dropout):
        module = nn.Dropout(layer.rate)
    else:
        raise TypeError(
            f"the Keras layer {layer.name} ({type(layer).__name__}) cannot be measured; layers "
            "that can are: Dense, Conv, MaxPooling and AveragePooling of one to three dimensions, "
            "Flatten, BatchNormalization, LayerNormalization of the last axis, Embedding, Dropout"
        )
    return module.eval().requires_grad_(False)


def keras_topology(model: Any) -> "nx.DiGraph[Any]":
    """The graph of a Sequential or Functional model, or of a single built layer; see `topology_of`.

    Models inside the model are followed as well.

    Raises:
        ValueError: if the model has no graph, as a subclass of `keras.Model` has none.
    """
    builder = TopologyBuilder()
    function = function_of(model)
    _follow(function, [Trace(is_input=True) for _ in function.inputs], builder)
    return builder.graph()


def _follow(function: Any, given: list[Trace], builder: TopologyBuilder) -> list[Trace]:
    traces = {id(tensor): trace for tensor, trace in zip(function.inputs, given, strict=True)}
    for operation, node in calls(function):
        inputs = [traces[id(tensor)] for tensor in node.input_tensors]
        if has_graph(operation):
            outcomes = _follow(function_of(operation), inputs, builder)
        else:
            outcomes = [_traced(operation, node, inputs, builder)] * len(node.output_tensors)
        of_tensors = zip(node.output_tensors, outcomes, strict=True)
        traces |= {id(tensor): outcome for tensor, outcome in of_tensors}
    return [traces[id(tensor)] for tensor in function.outputs]


def function_of(model: Any) -> Any:
    """The graph of a model or a built layer, as a function from its inputs to its outputs.

    Raises:
        ValueError: if the model has no graph.
    """
    if has_graph(model):
        return keras.Function(model.inputs, model.outputs)
    if not isinstance(model, keras.Model):
        given = keras.Input(batch_shape=(1, *model.get_build_config()["input_shape"][1:]))
        return keras.Function(given, model(given))
    raise ValueError(
        f"the Keras model {model.name} has no graph: build it, or make it Sequential or Functional"
    )


def has_graph(operation: Any) -> bool:
    """Whether this is a model of which it is known which layer feeds which."""
    return isinstance(operation, keras.Model) and bool(getattr(operation, "inputs", None))


def calls(function: Any) -> Iterator[tuple[Any, Any]]:
    """The calls of operations as the data flows: the operation, and the node of the graph."""
    for depth in sorted(function._nodes_by_depth, reverse=True):
        for node in function._nodes_by_depth[depth]:
            if node.input_tensors:
                yield node.operation, node


def shape_of(tensor: Any) -> tuple[int, ...]:
    """The shape of a tensor of the graph, with a batch of one."""
    return (1, *tensor.shape[1:])


def _traced(operation: Any, node: Any, inputs: list[Trace], builder: TopologyBuilder) -> Trace:
    together = merged(inputs)
    if isinstance(operation, keras.layers.Identity):
        return together
    if isinstance(operation, _ACTIVATION_LAYERS):
        activation = _activation_of(operation)
        return together if activation is None else builder.activate(together, activation)
    kind = type(operation).__name__ if is_of_keras(operation) else ""
    if kind in RESHAPING:
        return together
    if kind in REORDERING:
        return replace(together, is_plain=False)
    if _is_function(operation):
        activation = activation_of_call(operation, node)
        if activation is not None:
            return builder.activate(together, activation)
    if not isinstance(operation, keras.Layer) or not _is_node(operation):
        builder.use(inputs)
        return together.selected() if kind in SELECTING else together.changed()
    shapes = shape_of(node.input_tensors[0]), shape_of(node.output_tensors[0])
    keeps_range = isinstance(operation, RANGE_KEEPING)
    trace = builder.add(operation, inputs, *shapes, keeps_range=keeps_range)
    activation = _activation_of(operation)
    return trace if activation is None else builder.activate(trace, activation)


def _is_function(operation: Any) -> bool:
    """Whether it is no layer of Keras', and has no weights."""
    if isinstance(operation, keras.layers.Lambda) or not isinstance(operation, keras.Layer):
        return True
    return not operation.weights and not is_of_keras(operation)


def _is_node(layer: Any) -> bool:
    merging = (
        keras.layers.Add, keras.layers.Subtract, keras.layers.Multiply, keras.layers.Average,
        keras.layers.Maximum, keras.layers.Minimum, keras.layers.Dot, keras.layers.Concatenate,
    )  # fmt: skip
    return not isinstance(layer, merging)


def _activation_of(layer: Any) -> nn.Module | None:
    if isinstance(layer, keras.layers.ReLU):
        return _rectifier(layer)
    if isinstance(layer, keras.layers.LeakyReLU):
        return nn.LeakyReLU(float(layer.negative_slope))
    if isinstance(layer, keras.layers.ELU):
        return nn.ELU(float(layer.alpha))
    if isinstance(layer, keras.layers.Softmax):
        return (
            nn.Softmax(dim=layer.axis)
            if isinstance(layer.axis, int)
            else by_keras(layer, layer.name)
        )
    if isinstance(layer, keras.layers.PReLU):
        return _slopes(layer)
    if isinstance(layer, _STEPPING):
        return None
    function = getattr(layer, "activation", None)
    if function is None or function is keras.activations.linear:
        return None
    if isinstance(function, _ACTIVATION_LAYERS):
        return _activation_of(function)
    name = getattr(function, "__name__", type(function).__name__)
    known = _ACTIVATIONS.get(name)
    return (
        known()
        if known is not None and _is_activation_of_keras(function)
        else by_keras(function, name)
    )


def _is_activation_of_keras(function: Any) -> bool:
    return getattr(keras.activations, function.__name__, None) is function


def _rectifier(layer: Any) -> nn.Module:
    slope = float(layer.negative_slope)
    if layer.threshold or (slope and layer.max_value is not None):
        return by_keras(layer, layer.name)
    if layer.max_value is not None:
        return nn.Hardtanh(0.0, float(layer.max_value))
    return nn.LeakyReLU(slope) if slope else nn.ReLU()


def _slopes(layer: Any) -> nn.Module:
    slopes = tensor_of(layer.alpha)
    module: Any = nn.PReLU(slopes.numel())
    module.weight = nn.Parameter(slopes.flatten(), requires_grad=False)
    places = slopes.shape[:-1].numel()
    module.neurons = -1 if places == 1 else 1  # a slope for each place is for none of them alone
    return module


def is_quantised(layer: Any) -> bool:
    """Whether a layer's weights are packed, so that they are not the numbers it computes with."""
    return getattr(layer, "quantization_mode", None) is not None


def tensor_of(variable: Any) -> torch.Tensor:
    """A copy of a variable's value, of any backend."""
    value = getattr(variable, "value", variable)
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().clone()
    if keras.backend.standardize_dtype(value.dtype) == "bfloat16":  # which NumPy lacks
        single = keras.ops.convert_to_numpy(keras.ops.cast(value, "float32"))
        return torch.from_numpy(np.array(single)).bfloat16()
    return torch.from_numpy(np.array(keras.ops.convert_to_numpy(value)))


def _with_weights(module: Any, layer: Any, order: tuple[int, ...]) -> nn.Module:
    kernel = tensor_of(layer.kernel)
    bias = torch.zeros(module.bias.shape, dtype=kernel.dtype)
    if layer.use_bias:
        bias = tensor_of(layer.bias)
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
    mean = tensor_of(layer.moving_mean)
    variance = tensor_of(layer.moving_variance)
    n_axes = len(layer.get_build_config()["input_shape"]) - 2
    kinds = (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    module = kinds[n_axes](len(mean), eps=layer.epsilon)
    module.running_mean, module.running_var = mean, variance
    if layer.scale:
        module.weight = nn.Parameter(tensor_of(layer.gamma))
    if layer.center:
        module.bias = nn.Parameter(tensor_of(layer.beta))
    return ChannelsLast(module) if n_axes and layer.axis in (-1, n_axes + 1) else module


def _sees_places(layer: Any) -> bool:
    """Whether layer normalisation goes along more than the last axis."""
    axes = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
    last = len(layer.get_build_config()["input_shape"]) - 1
    return {axis % (last + 1) for axis in axes} != {last}


def _layer_normalisation(layer: Any) -> nn.Module:
    size = layer.get_build_config()["input_shape"][-1]
    module = nn.LayerNorm(size, eps=layer.epsilon)
    if layer.scale:
        module.weight = nn.Parameter(tensor_of(layer.gamma))
    if layer.center:
        module.bias = nn.Parameter(tensor_of(layer.beta))
    return module
