"""Which values a layer can take, and the edges of the bins that divide them."""

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

Activation = Callable[[torch.Tensor], torch.Tensor]
Range = tuple[float, float]
OutRange = Range | Literal["dynamic"]
OutBins = int | Literal["dynamic"]

NO_ACTIVATION_RANGE: Range = (-10.0, 10.0)
_EVALUATED = 100_001

# What a unit with this activation is taken to output, as in Marrow et al. 2020
_RANGES: dict[type[nn.Module], Range] = {
    nn.Sigmoid: (0.0, 1.0),
    nn.Hardsigmoid: (0.0, 1.0),
    nn.Softmax: (0.0, 1.0),
    nn.Softmax2d: (0.0, 1.0),
    nn.Softmin: (0.0, 1.0),
    nn.LogSoftmax: (-20.0, 0.0),
    nn.Tanh: (-1.0, 1.0),
    nn.Softsign: (-1.0, 1.0),
    nn.ReLU: (0.0, 10.0),
    nn.Softplus: (0.0, 10.0),
    nn.LeakyReLU: (-10.0, 10.0),
    nn.SELU: (-1.7581, 10.0),
    nn.GELU: (-1.0, 10.0),
    nn.SiLU: (-1.0, 10.0),
    nn.Identity: NO_ACTIVATION_RANGE,
}
ACTIVATIONS = (
    *_RANGES, nn.Hardtanh, nn.ELU, nn.CELU, nn.PReLU, nn.RReLU, nn.Mish, nn.Hardswish,
    nn.LogSigmoid, nn.Hardshrink, nn.Softshrink, nn.Tanhshrink, nn.Threshold,
)  # fmt: skip
_NON_DECREASING = (
    nn.Sigmoid, nn.Tanh, nn.Softsign, nn.ReLU, nn.Softplus, nn.LeakyReLU, nn.ELU,
    nn.SELU, nn.CELU, nn.Identity, nn.Hardsigmoid, nn.Hardtanh, nn.LogSigmoid, nn.Hardshrink,
    nn.Softshrink,
)  # fmt: skip


def range_of(activation: Activation | None, device: torch.device | str = "cpu") -> Range:
    """The range of values a unit with this activation is taken to have.

    Args:
        activation: a function such as an activation module, or None for a unit without one.
        device: where the activation can be tried out.

    Returns:
        The lower and upper bound, (-10, 10) without an activation; of one that is in no table what
        it makes of values between -10 and 10, rounded outwards to hundredths.

    Raises:
        ValueError: if the range of this activation is not known, since it is not elementwise or
            puts out NaN or infinite values.
    """
    if activation is None:
        return NO_ACTIVATION_RANGE
    if isinstance(activation, nn.Hardtanh):  # ReLU6 is one
        return float(activation.min_val), float(activation.max_val)
    if isinstance(activation, nn.ELU):
        return -float(activation.alpha), 10.0
    for kind, limits in _RANGES.items():
        if isinstance(activation, kind):
            return limits
    if isinstance(activation, nn.PReLU):
        ends = activation.weight.detach().double() * NO_ACTIVATION_RANGE[0]
        return _outwards(min(0.0, float(ends.min())), max(10.0, float(ends.max())))
    values = torch.linspace(*NO_ACTIVATION_RANGE, _EVALUATED, device=device)
    unknown = f"the range of the activation {activation} is not known: pass in_range or out_range"
    try:
        with torch.no_grad():
            found, alone = activation(values.clone()), activation(values.clone().unsqueeze(1))
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise ValueError(unknown) from error
    is_elementwise = found.shape == values.shape and torch.allclose(found, alone.flatten())
    if not is_elementwise or not bool(found.isfinite().all()):
        raise ValueError(unknown)
    return _outwards(float(found.min()), float(found.max()))


def _outwards(lower: float, upper: float) -> Range:
    return math.floor(lower * 100) / 100, math.ceil(upper * 100) / 100


def is_non_decreasing(activation: object | None) -> bool:
    """Whether an elementwise activation never falls, so that bins have preimages that are bins."""
    return activation is None or isinstance(activation, _NON_DECREASING)


def checked_range(limits: Any, name: str) -> Range:
    """The two ends of a range as floats.

    Raises:
        ValueError: if it is not a pair of finite numbers, the lower one first.
    """
    try:
        lower, upper = (float(limit) for limit in limits)
    except (TypeError, ValueError):
        lower, upper = 0.0, 0.0
    if not (np.isfinite([lower, upper]).all() and lower < upper):
        raise ValueError(f"{name} must be a pair (lower, upper) with lower < upper, got {limits!r}")
    return lower, upper


def checked_bins(bins: Any, name: str) -> int:
    """A number of bins.

    Raises:
        ValueError: if it is not a positive integer.
    """
    if isinstance(bins, bool) or not isinstance(bins, int | np.integer) or bins < 1:
        raise ValueError(f"{name} must be a positive integer, got {bins!r}")
    return int(bins)


def equal_edges(limits: Range, bins: int) -> torch.Tensor:
    """Edges of bins of equal width, float64, shape (bins + 1,)."""
    return torch.from_numpy(np.linspace(*limits, bins + 1))


def output_edges(
    lowest: torch.Tensor,
    highest: torch.Tensor,
    out_range: OutRange,
    out_bins: OutBins,
    in_bin_width: float,
) -> torch.Tensor:
    """Edges of the bins of each output.

    A dynamic range spans what the output was seen to take; dynamic bins are as wide as the bins
    of the input, as many as it takes to cover the range.

    Args:
        lowest: the smallest value of each output, shape (n_outputs,).
        highest: the largest, of the same shape.
        out_range: (lower, upper), or "dynamic".
        out_bins: the number of bins, or "dynamic".
        in_bin_width: the width of an input bin.

    Returns:
        float64, shape (n_outputs, largest number of bins + 1); an output with fewer bins repeats
        infinity after its last edge.
    """
    if out_range == "dynamic":
        lower, upper = lowest.double(), highest.double()
    else:
        lower = torch.full_like(lowest, out_range[0], dtype=torch.float64)
        upper = torch.full_like(highest, out_range[1], dtype=torch.float64)
    if out_bins != "dynamic":
        upper = torch.where(upper > lower, upper, lower + 1.0)  # a constant output: any width does
        return torch.from_numpy(
            np.linspace(lower.cpu().numpy(), upper.cpu().numpy(), out_bins + 1, axis=-1)
        ).to(lowest.device)
    bins = ((upper - lower) / in_bin_width).long() + 1
    step = torch.arange(int(bins.max()) + 1, device=bins.device)
    edges = lower[:, None] + step * in_bin_width
    return edges.masked_fill(step > bins[:, None], torch.inf)
