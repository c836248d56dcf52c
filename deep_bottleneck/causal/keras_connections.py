"""Which layers of a Keras model have weighted connections, and these connections."""

import warnings
from collections.abc import Iterator
from math import prod
from typing import Any

import keras
import torch
from torch import nn
from torch.nn import functional

from deep_bottleneck.causal.connections import (
    CONVOLVE,
    TRANSPOSE,
    Connections,
    Shape,
    embedding,
    from_matrix,
    recurrent,
    sliding,
)
from deep_bottleneck.causal.network.keras_layers import (
    ChannelsLast,
    as_module,
    calls,
    function_of,
    has_graph,
    is_quantised,
    tensor_of,
)
from deep_bottleneck.causal.network.kinds import per_axis

_L = keras.layers
_POOLING = (_L.AveragePooling1D, _L.AveragePooling2D, _L.AveragePooling3D)
_PLAIN = (_L.Conv1D, _L.Conv2D, _L.Conv3D, *_POOLING)
_DEPTHWISE = (_L.DepthwiseConv1D, _L.DepthwiseConv2D)
_SEPARABLE = (_L.SeparableConv1D, _L.SeparableConv2D)
_TRANSPOSED = (_L.Conv1DTranspose, _L.Conv2DTranspose, _L.Conv3DTranspose)
_CONNECTING = (
    _L.Dense, _L.EinsumDense, _L.Embedding, *_PLAIN, *_DEPTHWISE, *_SEPARABLE, *_TRANSPOSED,
    _L.LSTM, _L.GRU, _L.SimpleRNN, _L.Bidirectional, _L.TimeDistributed, _L.MultiHeadAttention,
)  # fmt: skip
# one weight for each unit, and no connection between two
SCALING = (
    _L.BatchNormalization, _L.LayerNormalization, _L.GroupNormalization, _L.RMSNormalization,
    _L.UnitNormalization, _L.Normalization, _L.PReLU,
)  # fmt: skip


def connecting_shapes(model: Any) -> dict[Any, tuple[Shape, Shape]]:
    """The shapes of the inputs and outputs of the layers of a model that have connections.

    Those of models inside the model as well; of a layer that is called again those of its first
    call.

    Raises:
        ValueError: if the model has no graph.

    Warns:
        UserWarning: if layers with weights are left out.
    """
    shapes: dict[Any, tuple[Shape, Shape]] = {}
    left_out: dict[str, None] = {}
    for layer, node in _all_calls(function_of(model)):
        if isinstance(layer, _CONNECTING) and _inner(layer) and not is_quantised(_inner(layer)):
            in_and_out = _shape(node.input_tensors[0]), _shape(node.output_tensors[0])
            shapes.setdefault(layer, in_and_out)
        elif isinstance(layer, keras.Layer) and layer.weights and not isinstance(layer, SCALING):
            left_out[f"{layer.name} ({type(layer).__name__})"] = None
    if left_out:
        warnings.warn(f"left out of the weight graph: {', '.join(left_out)}", stacklevel=4)
    return shapes


def _all_calls(function: Any) -> Iterator[tuple[Any, Any]]:
    for operation, node in calls(function):
        if has_graph(operation):
            yield from _all_calls(function_of(operation))
        else:
            yield operation, node


def _inner(layer: Any) -> Any:
    """The layer that is applied to every time step; None if it has no weight graph."""
    if not isinstance(layer, _L.TimeDistributed):
        return layer
    return layer.layer if isinstance(layer.layer, _CONNECTING) else None


def _shape(tensor: Any) -> Shape:
    """With a batch, and axes of any length, of one."""
    return (1, *(size or 1 for size in tensor.shape[1:]))


def keras_connections(
    layer: Any, in_shape: Shape, out_shape: Shape, device: torch.device
) -> list[Connections]:
    """The connections through a layer, one after another if there are several.

    Raises:
        TypeError: if the layer is of another kind.
    """
    if isinstance(layer, _L.TimeDistributed):
        inner_in, inner_out = ((1, *shape[2:]) for shape in (in_shape, out_shape))
        return keras_connections(layer.layer, inner_in, inner_out, device)
    if isinstance(layer, _L.Bidirectional):
        both = layer.forward_layer, layer.backward_layer
        return [part for way in both for part in keras_connections(way, in_shape, (), device)]
    if isinstance(layer, _L.LSTM | _L.GRU | _L.SimpleRNN):
        kernel, of_states = tensor_of(layer.cell.kernel), tensor_of(layer.cell.recurrent_kernel)
        return [recurrent(kernel.T, of_states.T, device)]
    if isinstance(layer, _L.MultiHeadAttention):
        dense = (layer.query_dense, layer.key_dense, layer.value_dense, layer.output_dense)
        return [_einsum(part, device) for part in dense]
    if isinstance(layer, _L.EinsumDense):
        return [_einsum(layer, device)]
    if isinstance(layer, _L.Embedding):
        return [embedding(tensor_of(layer.embeddings), device)]
    if isinstance(layer, _TRANSPOSED):
        return [_transposed(layer, in_shape, out_shape, device)]
    if isinstance(layer, _DEPTHWISE):
        kernel = tensor_of(layer.kernel)
        return [_convolution(layer, _by_depth(kernel), in_shape, out_shape, device)]
    if isinstance(layer, _SEPARABLE):
        return _separable(layer, in_shape, out_shape, device)
    if isinstance(layer, _L.Dense):
        return [from_matrix(tensor_of(layer.kernel).T, device)]
    if not isinstance(layer, _PLAIN):
        kinds = ", ".join(kind.__name__ for kind in _CONNECTING)
        raise TypeError(f"{layer} has no weight graph; layers that have are: {kinds}")
    module = as_module(layer)
    core = module.inner if isinstance(module, ChannelsLast) else module
    return [_slid(layer, core, in_shape, out_shape, device)]


def _slid(
    layer: Any, module: nn.Module, in_shape: Shape, out_shape: Shape, device: torch.device
) -> Connections:
    first = [_channels_first(layer, shape) for shape in (in_shape, out_shape)]
    return sliding(module, first[0], first[1], device, layer.padding)


def _channels_first(layer: Any, shape: Shape) -> Shape:
    if layer.data_format == "channels_first":
        return shape
    return (shape[0], shape[-1], *shape[1:-1])


def _by_depth(kernel: torch.Tensor) -> torch.Tensor:
    """The kernel of a depthwise convolution, (..., channels, multiplier), as that of a grouped."""
    return kernel.movedim((-2, -1), (0, 1)).flatten(0, 1).unsqueeze(1)


def _convolution(
    layer: Any, weight: torch.Tensor, in_shape: Shape, out_shape: Shape, device: torch.device
) -> Connections:
    """A depthwise convolution, by the settings of the layer."""
    groups, n_axes = in_shape[1], weight.dim() - 2
    if layer.data_format == "channels_last":
        groups = in_shape[-1]
    kinds: Any = (nn.Conv1d, nn.Conv2d)
    stride, dilation = (
        per_axis(setting, n_axes) for setting in (layer.strides, layer.dilation_rate)
    )
    module = kinds[n_axes - 1](
        groups, len(weight), weight.shape[2:], stride, dilation=dilation, groups=groups, bias=False
    )
    module.weight = nn.Parameter(weight)
    return _slid(layer, module, in_shape, out_shape, device)


def _separable(
    layer: Any, in_shape: Shape, out_shape: Shape, device: torch.device
) -> list[Connections]:
    depthwise = _by_depth(tensor_of(layer.depthwise_kernel))
    pointwise = tensor_of(layer.pointwise_kernel).movedim((-1, -2), (0, 1))
    mid_shape = (*out_shape[:-1], len(depthwise))
    if layer.data_format == "channels_first":
        mid_shape = (1, len(depthwise), *out_shape[2:])
    first = _convolution(layer, depthwise, in_shape, mid_shape, device)
    convolve = CONVOLVE[pointwise.dim() - 3]
    second = Connections(
        pointwise.to(device, torch.float64),
        lambda weight, values: convolve(values, weight),
        _channels_first(layer, mid_shape)[1:],
        prod(out_shape[1:]),
    )
    return [first, second]


def _transposed(layer: Any, in_shape: Shape, out_shape: Shape, device: torch.device) -> Connections:
    kernel = tensor_of(layer.kernel)
    n_axes = kernel.dim() - 2
    weight = kernel.movedim((-1, -2), (0, 1)).to(device, torch.float64)
    stride, dilation = (
        per_axis(setting, n_axes) for setting in (layer.strides, layer.dilation_rate)
    )
    reach = [gap * (size - 1) + 1 for gap, size in zip(dilation, kernel.shape, strict=False)]
    excess = [max(0, size - step) for size, step in zip(reach, stride, strict=True)]
    before = [size // 2 if layer.padding == "same" else 0 for size in excess]
    sizes = _channels_first(layer, out_shape)[2:]
    transpose = TRANSPOSE[n_axes - 1]

    def apply(weight: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        whole = transpose(values, weight, stride=stride, dilation=dilation)
        pads = [
            side
            for start, size, given in zip(
                reversed(before), reversed(sizes), reversed(whole.shape[2:]), strict=True
            )
            for side in (-start, size + start - given)
        ]
        return functional.pad(whole, pads)

    return Connections(weight, apply, _channels_first(layer, in_shape)[1:], prod(out_shape[1:]))


def _einsum(layer: Any, device: torch.device) -> Connections:
    """Those of a single place: axes that only the input and the output have are one long."""
    weight = tensor_of(layer.kernel).to(device, torch.float64)
    given, rest = layer.equation.replace(" ", "").split(",")
    of_kernel, result = rest.split("->")
    sizes = dict(zip(of_kernel, weight.shape, strict=True))
    shape = tuple(sizes.get(axis, 1) for axis in given[1:])
    return Connections(
        weight,
        lambda weight, values: torch.einsum(layer.equation, values, weight),
        shape,
        prod(sizes.get(axis, 1) for axis in result[1:]),
    )
