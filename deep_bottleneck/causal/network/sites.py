"""What stands for a layer while noise is injected: what it does at one place of its input."""

import copy
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from deep_bottleneck.causal.injection.ranges import Activation
from deep_bottleneck.causal.network.kinds import CELLS, CONVOLUTIONS, SLIDING, TRANSPOSED, per_axis

_SHARED = (nn.Softmax, nn.Softmin, nn.LogSoftmax, nn.GLU)
_TRANSPOSE = (
    functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d,
)  # fmt: skip


def in_float32(module: nn.Module) -> nn.Module:
    """The module with its weights in float32 if they are in half precision."""
    halves = {torch.float16, torch.bfloat16}
    if halves.isdisjoint(tensor.dtype for tensor in module.parameters()):
        return module
    return copy.deepcopy(module).float()


def without_padding(module: nn.Module) -> nn.Module:
    """A convolution or pooling for a patch that needs no padding; any other module as it is."""
    if not isinstance(module, SLIDING) or not any(per_axis(module.padding, 1)):
        return module
    module = copy.copy(module)
    module.padding = (0,) * len(per_axis(module.kernel_size, 1))
    if isinstance(module, CONVOLUTIONS):
        module.padding_mode = "zeros"
    return module


def patch(modules: list[nn.Module], n_axes: int) -> tuple[int, ...]:
    """The size of the input that a single output position of convolutions and pools depends on."""
    sizes = [1] * n_axes
    for module in reversed(modules):
        if isinstance(module, SLIDING):
            reach = _reach(module, n_axes)
            stride = per_axis(module.stride, n_axes)
            steps = zip(sizes, stride, reach, strict=True)
            sizes = [(size - 1) * step + extent + 1 for size, step, extent in steps]
    return tuple(sizes)


def _reach(module: Any, n_axes: int) -> list[int]:
    kernel = per_axis(module.kernel_size, n_axes)
    dilation = per_axis(getattr(module, "dilation", 1), n_axes)
    return [gap * (width - 1) for gap, width in zip(dilation, kernel, strict=True)]


def alone(module: nn.Module) -> tuple[nn.Module, tuple[int, ...]] | None:
    """What stands for a layer of a kind that needs it, and the shape of its input."""
    if isinstance(module, nn.Embedding):
        return Lookup(module), (1,)
    if isinstance(module, nn.Bilinear):
        return Joined(module), (module.in1_features + module.in2_features,)
    if isinstance(module, CELLS):
        n_states = 2 if isinstance(module, nn.LSTMCell) else 1
        return Step(module), (module.input_size + n_states * module.hidden_size,)
    if isinstance(module, TRANSPOSED):
        period = Period(module)
        return period, (module.in_channels, *period.patch)
    return None


class Lookup(nn.Module):
    """An embedding whose input is a real number, of which it takes the integer part."""

    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__()
        self.embedding = embedding

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """From shape (n_samples, 1) to (n_samples, n_features)."""
        indices = values[:, 0].long().clamp(0, self.embedding.num_embeddings - 1)
        return self.embedding(indices)


class Joined(nn.Module):
    """A bilinear layer whose two inputs are one."""

    def __init__(self, bilinear: nn.Bilinear) -> None:
        super().__init__()
        self.bilinear = bilinear

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Split the values, shape (n_samples, in1_features + in2_features), and combine them."""
        return self.bilinear(*values.tensor_split([self.bilinear.in1_features], dim=1))


class Step(nn.Module):
    """A recurrent cell whose inputs, and whose outputs, are one: the example, then the state."""

    def __init__(self, cell: nn.RNNCell | nn.LSTMCell | nn.GRUCell) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """The state after a step, shape (n_samples, n_states * hidden_size)."""
        example, state = values.tensor_split([self.cell.input_size], dim=1)
        if isinstance(self.cell, nn.LSTMCell):
            hidden, memory = state.chunk(2, dim=1)
            return torch.cat(self.cell(example.contiguous(), (hidden, memory)), dim=1)
        return self.cell(example.contiguous(), state.contiguous())


class Period(nn.Module):
    """A transposed convolution on the patch that as many outputs depend on as the stride is wide.

    Attributes:
        patch: the size of the patch.
    """

    def __init__(self, convolution: Any) -> None:
        super().__init__()
        self.convolution = convolution
        n_axes = len(convolution.kernel_size)
        reach = _reach(convolution, n_axes)
        self._steps = tuple(convolution.stride)
        self.patch = tuple(
            extent // step + 1 for extent, step in zip(reach, self._steps, strict=True)
        )

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """From shape (n_samples, in_channels, *patch) to one period of outputs."""
        layer = self.convolution
        outputs = _TRANSPOSE[len(self.patch) - 1](
            values, layer.weight, layer.bias, layer.stride, 0, 0, layer.groups, layer.dilation
        )
        for axis, (size, step) in enumerate(zip(self.patch, self._steps, strict=True), 2):
            start = (size - 1) * step
            outputs = outputs.narrow(axis, start, min(step, outputs.shape[axis] - start))
        return outputs


def on_neurons(
    activation: Activation | None, out_shape: tuple[int, ...], neurons: int | None, axis: int = -1
) -> Activation | None:
    """An activation for outputs that are measured at one place.

    Softmax and its like look at several outputs together, and PReLU may have a slope for each.

    Args:
        activation: as the network applies it.
        out_shape: the shape of the layer's output, with the batch.
        neurons: the axis on which neurons are, or None if the whole output is measured, flattened.
        axis: the axis on which they are where the activation is to be applied.

    Raises:
        ValueError: if it looks at several places together.
    """
    if isinstance(activation, nn.Module):
        activation = in_float32(activation)
    along = _axis(activation, len(out_shape))
    if along is None or activation is None:
        return activation
    along %= len(out_shape)
    if neurons is None and along > 0:
        return _whole(activation, along - 1, out_shape[1:])
    if neurons is None or along != neurons % len(out_shape):
        raise ValueError(
            f"the activation {activation} goes along axis {along} of outputs of shape {out_shape}, "
            "which is not that of the neurons: pass an activation of the neurons of one place"
        )
    return _along(activation, axis)


def _axis(activation: Any, n_axes: int) -> int | None:
    """The axis along which an activation does not treat all values alike, if there is one."""
    if isinstance(activation, nn.Softmax2d):
        return n_axes - 3
    if isinstance(activation, nn.PReLU):
        # of Keras' it is not the second
        return getattr(activation, "neurons", 1) if activation.num_parameters > 1 else None
    if not isinstance(activation, _SHARED):
        return None
    implicit = 0 if n_axes in (0, 1, 3) else 1  # as PyTorch takes a softmax without an axis
    return implicit if activation.dim is None else int(activation.dim)


def _along(activation: Any, axis: int) -> Activation:
    if isinstance(activation, nn.PReLU):
        slopes = activation.weight

        def apply(values: torch.Tensor) -> torch.Tensor:
            last = values.movedim(axis, -1)
            return torch.where(last >= 0, last, slopes * last).movedim(-1, axis)

        return apply
    if isinstance(activation, nn.Softmax2d):
        return nn.Softmax(dim=axis)
    activation = copy.copy(activation)
    activation.dim = axis
    return activation


def _whole(activation: Any, axis: int, shape: tuple[int, ...]) -> Activation:
    if len(shape) == 1:
        return _along(activation, -1)
    placed = _along(activation, axis - len(shape))
    return lambda values: placed(values.unflatten(-1, shape)).flatten(-len(shape))
