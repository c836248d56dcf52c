"""The weighted connections between the units before and after a layer, without their matrix.

The matrix of a layer has a row for each unit before it and a column for each unit after it. For a
convolution it is large and almost empty, and all that is needed of it are sums over its rows and
columns: products of the layer's own linear map.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from deep_bottleneck.causal.network.kinds import AVERAGE_POOLING, CONVOLUTIONS, is_keras, per_axis

Shape = tuple[int, ...]

CONNECTING = (nn.Linear, *CONVOLUTIONS, *AVERAGE_POOLING)
_CONVOLVE: tuple[Callable[..., torch.Tensor], ...] = (
    functional.conv1d, functional.conv2d, functional.conv3d,
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
    """The connections through a layer.

    The weights of average pooling are 1 / (size of its kernel), also at the margin.

    Args:
        layer: Linear, a convolution or average pooling, or the same in Keras.
        in_shape: the shape of its input, with the batch.
        out_shape: the shape of its output, with the batch.
        device: where to compute.

    Returns:
        The connections.

    Raises:
        TypeError: if the layer is of another kind.
        ValueError: if it does not match the shapes, or pads with anything but zeros.
    """
    module, keras_padding = layer, None
    if is_keras(layer):
        from deep_bottleneck.causal.network.keras_layers import ChannelsLast, as_module

        module, keras_padding = as_module(layer), getattr(layer, "padding", None)
        if isinstance(module, ChannelsLast):
            module = module.inner
            in_shape = (in_shape[0], in_shape[-1], *in_shape[1:-1])
            out_shape = (out_shape[0], out_shape[-1], *out_shape[1:-1])
    if isinstance(module, nn.Linear):
        weight = module.weight.detach()
        if in_shape[-1] != weight.shape[1] or out_shape[-1] != weight.shape[0]:
            raise ValueError(f"{module} does not lead from shape {in_shape} to {out_shape}")
        return Connections(
            weight.to(device, torch.float64),
            lambda weight, values: values @ weight.T,
            (weight.shape[1],),
            weight.shape[0],
        )
    if not isinstance(module, CONNECTING):
        kinds = ", ".join(kind.__name__ for kind in CONNECTING)
        raise TypeError(f"{layer} has no weight graph; modules that have are: {kinds}")
    return _sliding(module, in_shape, out_shape, torch.device(device), keras_padding)


def _sliding(
    module: nn.Module,
    in_shape: Shape,
    out_shape: Shape,
    device: torch.device,
    keras_padding: str | None,
) -> Connections:
    n_axes = len(in_shape) - 2
    settings: Any = module
    kernel = per_axis(settings.kernel_size, n_axes)
    stride = per_axis(settings.stride, n_axes)
    dilation = per_axis(getattr(settings, "dilation", 1), n_axes)
    if isinstance(module, CONVOLUTIONS):
        if module.padding_mode != "zeros":
            raise ValueError(f"{module} pads with values that are not zero: it has no weight graph")
        weight, groups = module.weight.detach().to(device, torch.float64), module.groups
    else:
        groups = in_shape[1]
        weight = torch.ones((groups, 1, *kernel), dtype=torch.float64, device=device) / prod(kernel)
    reach = [gap * (size - 1) + 1 for gap, size in zip(dilation, kernel, strict=True)]
    covered = [
        (count - 1) * step + extent
        for count, step, extent in zip(out_shape[2:], stride, reach, strict=True)
    ]
    missing = [size - given for size, given in zip(covered, in_shape[2:], strict=True)]
    padding = keras_padding or settings.padding
    if padding == "causal":
        before = [extent - 1 for extent in reach]
    elif padding == "same":
        before = [max(0, length) // 2 for length in missing]
    else:
        before = list(per_axis(0 if padding == "valid" else padding, n_axes))
    # whatever of the last window is still missing; a negative width leaves unused units off
    after = [length - left for length, left in zip(missing, before, strict=True)]
    pads = [side for pair in zip(reversed(before), reversed(after), strict=True) for side in pair]
    convolve = _CONVOLVE[n_axes - 1]

    def apply(weight: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        padded = functional.pad(values, pads)
        return convolve(padded, weight, stride=stride, dilation=dilation, groups=groups)

    return Connections(weight, apply, tuple(in_shape[1:]), prod(out_shape[1:]))
