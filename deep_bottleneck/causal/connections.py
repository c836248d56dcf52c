"""The weighted connections between the units before and after a layer, without their matrix.

The matrix of a layer has a row for each unit before it and a column for each unit after it. For a
convolution it is large and almost empty, and all that is needed of it are sums over its rows and
columns: products of the layer's own linear map.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from deep_bottleneck.causal.network.kinds import (
    AVERAGE_POOLING,
    CELLS,
    CONVOLUTIONS,
    TRANSPOSED,
    is_keras,
    per_axis,
)
from deep_bottleneck.causal.network.modules import PARTS, Projection

Shape = tuple[int, ...]

_SINGLE = (nn.Linear, nn.Embedding, *CONVOLUTIONS, *TRANSPOSED, *AVERAGE_POOLING)
CONNECTING = (*_SINGLE, nn.MultiheadAttention, nn.RNN, nn.LSTM, nn.GRU, *CELLS)
CONVOLVE: tuple[Callable[..., torch.Tensor], ...] = (
    functional.conv1d, functional.conv2d, functional.conv3d,
)  # fmt: skip
TRANSPOSE: tuple[Callable[..., torch.Tensor], ...] = (
    functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d,
)  # fmt: skip


@dataclass(frozen=True)
class Connections:
    """The connections through a layer.

    Attributes:
        weight: the layer's distinct weights, float64, of any shape.
        apply: from weights of that shape and values of the units before, shape (1, ...), to the
            weighted sums that arrive at the units after.
        in_shape: the shape of the units before, without the batch.
        n_outputs: the number of units after.
    """

    weight: torch.Tensor
    apply: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    in_shape: Shape
    n_outputs: int

    @property
    def n_inputs(self) -> int:
        """The number of units before."""
        return prod(self.in_shape)

    def arriving(self, weight: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """The sum over the units before of their value times the weight, at each unit after.

        Args:
            weight: in place of the layer's own, of the same shape.
            values: of the units before, shape (n_inputs,).

        Returns:
            Shape (n_outputs,).
        """
        return self.apply(weight, values.view(1, *self.in_shape)).flatten()

    def leaving(self, weight: torch.Tensor) -> torch.Tensor:
        """The sum of the weights that leave each unit before, shape (n_inputs,)."""
        values = weight.new_zeros((1, *self.in_shape))
        gradient = torch.func.grad(lambda values: self.apply(weight, values).sum())
        return torch.as_tensor(gradient(values)).flatten()

    def matrix(self) -> torch.Tensor:
        """The whole matrix, shape (n_inputs, n_outputs)."""
        units = torch.eye(self.n_inputs, dtype=self.weight.dtype, device=self.weight.device)
        return self.apply(self.weight, units.view(-1, *self.in_shape)).flatten(1)


def connections_of(
    layer: Any, in_shape: Shape, out_shape: Shape, device: torch.device | str = "cpu"
) -> Connections:
    """The connections through a layer that has a single set of them.

    The weights of average pooling are those with which it averages. The units after a recurrent
    layer are the gates, and those before it the features and the hidden state.

    Args:
        layer: Linear, Embedding, a convolution, transposed or not, or average pooling, or the same
            in Keras.
        in_shape: the shape of its input, with the batch.
        out_shape: the shape of its output, with the batch.
        device: where to compute.

    Returns:
        The connections.

    Raises:
        TypeError: if the layer is of another kind, or has more than one set of connections.
        ValueError: if it does not match the shapes, or pads with anything but zeros.
    """
    parts = parts_of(layer, in_shape, out_shape, device)
    if len(parts) > 1:
        raise TypeError(f"{layer} has {len(parts)} sets of connections: see parts_of")
    return parts[0]


def parts_of(
    layer: Any, in_shape: Shape, out_shape: Shape, device: torch.device | str = "cpu"
) -> list[Connections]:
    """All sets of connections through a layer.

    Attention has one for each of its three projections of the input, a recurrent layer one for
    each layer and direction inside it, and a separable convolution two.

    Args:
        layer: as for `connections_of`, or attention or a recurrent layer or cell.
        in_shape: as for `connections_of`.
        out_shape: as for `connections_of`.
        device: where to compute.

    Returns:
        The sets.

    Raises:
        TypeError: if the layer is of another kind.
        ValueError: as for `connections_of`.
    """
    device = torch.device(device)
    if is_keras(layer):
        from deep_bottleneck.causal.keras_connections import keras_connections

        return keras_connections(layer, in_shape, out_shape, device)
    if isinstance(layer, nn.MultiheadAttention):
        projections = (Projection(layer, part).linear() for part in PARTS)
        return [from_matrix(linear.weight, device) for linear in projections]
    if isinstance(layer, nn.RNNBase):
        return [part for weights in layer.all_weights for part in _of_gates(weights, device)]
    if isinstance(layer, CELLS):
        return [recurrent(layer.weight_ih, layer.weight_hh, device)]
    if isinstance(layer, nn.Embedding):
        return [embedding(layer.weight, device)]
    if isinstance(layer, nn.Linear):
        if (in_shape[-1], out_shape[-1]) != (layer.in_features, layer.out_features):
            raise ValueError(f"{layer} does not lead from shape {in_shape} to {out_shape}")
        return [from_matrix(layer.weight, device)]
    if isinstance(layer, TRANSPOSED):
        return [_transposed(layer, in_shape, out_shape, device)]
    if not isinstance(layer, CONNECTING):
        kinds = ", ".join(kind.__name__ for kind in CONNECTING)
        raise TypeError(f"{layer} has no weight graph; modules that have are: {kinds}")
    return [sliding(layer, in_shape, out_shape, device)]


def from_matrix(weight: torch.Tensor, device: torch.device) -> Connections:
    """Those of a matrix of weights, shape (n_outputs, n_inputs)."""
    return Connections(
        weight.detach().to(device, torch.float64),
        lambda weight, values: values @ weight.T,
        (weight.shape[1],),
        weight.shape[0],
    )


def embedding(weight: torch.Tensor, device: torch.device) -> Connections:
    """Those of an embedding, shape (n_words, n_features): from each word to each feature."""
    return from_matrix(weight.T, device)


def recurrent(
    of_inputs: torch.Tensor, of_states: torch.Tensor, device: torch.device
) -> Connections:
    """Those to the gates, shape (n_gates, n_features) and (n_gates, n_states), from both."""
    return from_matrix(torch.cat([of_inputs, of_states], dim=1), device)


def _of_gates(weights: Sequence[torch.Tensor], device: torch.device) -> list[Connections]:
    """Of one layer and direction of a recurrent module, whose matrices are its first weights."""
    matrices = [weight for weight in weights if weight.dim() == 2]
    projected = [from_matrix(weight, device) for weight in matrices[2:]]
    return [recurrent(matrices[0], matrices[1], device), *projected]


def _transposed(
    module: Any, in_shape: Shape, out_shape: Shape, device: torch.device
) -> Connections:
    transpose = TRANSPOSE[len(in_shape) - 3]

    def apply(weight: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        return transpose(
            values, weight, None, module.stride, module.padding, module.output_padding,
            module.groups, module.dilation,
        )  # fmt: skip

    weight = module.weight.detach().to(device, torch.float64)
    return Connections(weight, apply, tuple(in_shape[1:]), prod(out_shape[1:]))


def sliding(
    module: nn.Module,
    in_shape: Shape,
    out_shape: Shape,
    device: torch.device,
    keras_padding: str | None = None,
) -> Connections:
    """Those of a convolution or of average pooling, shapes with channels first.

    Args:
        module: the layer.
        in_shape: the shape of its input, with the batch.
        out_shape: the shape of its output, with the batch.
        device: where to compute.
        keras_padding: the padding of a Keras layer, in place of the module's.

    Raises:
        ValueError: if it pads with anything but zeros.
    """
    n_axes = len(in_shape) - 2
    settings: Any = module
    kernel = per_axis(settings.kernel_size, n_axes)
    stride = per_axis(settings.stride, n_axes)
    dilation = per_axis(getattr(settings, "dilation", 1), n_axes)
    pools = isinstance(module, AVERAGE_POOLING)
    groups = in_shape[1] if pools else settings.groups
    if not pools and settings.padding_mode != "zeros":
        raise ValueError(f"{module} pads with values that are not zero: it has no weight graph")
    reach = [gap * (size - 1) + 1 for gap, size in zip(dilation, kernel, strict=True)]
    covered = [
        (count - 1) * step + extent
        for count, step, extent in zip(out_shape[2:], stride, reach, strict=True)
    ]
    missing = [size - given for size, given in zip(covered, in_shape[2:], strict=True)]
    pads = _pads(keras_padding or settings.padding, reach, missing)
    convolve = CONVOLVE[n_axes - 1]

    def convolved(weight: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        padded = functional.pad(values, pads)
        return convolve(padded, weight, stride=stride, dilation=dilation, groups=groups)

    if not pools:
        weight = settings.weight.detach().to(device, torch.float64)
        return Connections(weight, convolved, tuple(in_shape[1:]), prod(out_shape[1:]))
    ones = torch.ones((groups, 1, *kernel), dtype=torch.float64, device=device)
    everywhere = torch.ones((1, *in_shape[1:]), dtype=torch.float64, device=device)
    covers = convolved(ones, everywhere)
    # Keras does not count its padding; a window of padding alone has no connections
    share = 1.0 if keras_padding else module(everywhere)
    return Connections(
        share / covers.clamp(min=1.0),
        lambda weight, values: convolved(ones, values) * weight,
        tuple(in_shape[1:]),
        prod(out_shape[1:]),
    )


def _pads(padding: Any, reach: list[int], missing: list[int]) -> list[int]:
    """How much to pad each side, the last axis first.

    Args:
        padding: as a module or a Keras layer has it.
        reach: how far the kernel reaches along each axis.
        missing: by how much the windows cover more than the input.
    """
    if padding == "causal":
        before = [extent - 1 for extent in reach]
    elif padding == "same":
        before = [max(0, length) // 2 for length in missing]
    else:
        before = list(per_axis(0 if padding == "valid" else padding, len(reach)))
    # whatever of the last window is still missing; a negative width leaves unused units off
    after = [length - left for length, left in zip(missing, before, strict=True)]
    return [side for pair in zip(reversed(before), reversed(after), strict=True) for side in pair]
