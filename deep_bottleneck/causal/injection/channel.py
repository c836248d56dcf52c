"""A layer seen as a channel: noise of a given range goes in, values in a given range come out."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Literal, get_args

import torch
from torch import nn

from deep_bottleneck.causal.injection.histogram import round_up
from deep_bottleneck.causal.injection.ranges import Activation, OutBins, OutRange, Range
from deep_bottleneck.errors import OutOfRangeWarning

Outside = Literal["drop", "clip"]


@dataclass(frozen=True)
class Channel:
    """What a layer does to injected noise, and how both of its ends are binned.

    Several layers of one shape, such as the same layer of many runs, can share a channel: they
    all receive the same noise. What `channel_of` cannot measure is a channel made by hand, which
    `measures_of` takes: any function of a tensor.

    Attributes:
        name: how messages call the layer.
        function: from inputs of shape `(n_samples, *in_shape)` to outputs, before the activation,
            of shape (n_runs, n_samples, ...), floats.
        activation: what is applied to the outputs, elementwise; None for nothing.
        is_affine: whether `function` is affine, which allows shortcuts.
        n_runs: how many layers share the channel.
        in_shape: the shape of one input, without the batch.
        in_range: the inputs are uniform on this interval.
        in_bins: the number of bins that divide it.
        out_range: the interval the outputs are binned on, or "dynamic" for what each of them takes.
        out_bins: the number of bins, or "dynamic" for bins as wide as those of the inputs.
        outside: what becomes of outputs outside the range: "drop" leaves them out, "clip" counts
            them in the outermost bin.
        least_rows: at least so many samples go through the layer at once.
        device: where the layer lies.
        dtype: the type of the noise, float32 or float64.

    Raises:
        ValueError: if `outside` or `dtype` is none of these.

    Example:
        >>> both = nn.Bilinear(2, 3, 4)
        >>> channel = Channel(
        ...     name="both",
        ...     function=lambda x: both(x[:, :2], x[:, 2:]).unsqueeze(0),
        ...     in_shape=(5,),
        ...     in_range=(-1.0, 1.0),
        ...     out_range=(-10.0, 10.0),
        ... )
    """

    name: str
    function: Callable[[torch.Tensor], torch.Tensor]
    in_shape: tuple[int, ...]
    in_range: Range
    out_range: OutRange
    in_bins: int = 64
    out_bins: OutBins = 64
    activation: Activation | None = None
    is_affine: bool = False
    n_runs: int = 1
    outside: Outside = "drop"
    least_rows: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    dtype: torch.dtype = torch.float32

    def __post_init__(self) -> None:
        if self.outside not in get_args(Outside):
            raise ValueError(f'outside must be "drop" or "clip", got {self.outside!r}')
        if self.dtype not in (torch.float32, torch.float64):
            raise ValueError(f"noise is drawn in float32 or float64, not in {self.dtype}")

    @property
    def n_inputs(self) -> int:
        """The number of scalars that go in."""
        return prod(self.in_shape)

    @property
    def in_bin_width(self) -> float:
        """The width of an input bin, in the inputs' unit."""
        return (self.in_range[1] - self.in_range[0]) / self.in_bins

    def before_activation(self, inputs: torch.Tensor) -> torch.Tensor:
        """The outputs before the activation.

        Args:
            inputs: shape (n_samples, n_inputs).

        Returns:
            Shape (n_runs, n_samples, n_outputs).
        """
        with torch.no_grad():
            return self.function(inputs.reshape(-1, *self.in_shape)).flatten(2)

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """The outputs, shape (n_runs, n_samples, n_outputs), of inputs (n_samples, n_inputs)."""
        outputs = self.before_activation(inputs)
        if self.activation is None:
            return outputs
        if getattr(self.activation, "inplace", False):
            outputs = outputs.clone()  # which may be a view of the inputs
        with torch.no_grad():
            return self.activation(outputs)

    def clipped(self, outputs: torch.Tensor) -> torch.Tensor:
        """The outputs, where `outside` is "clip" moved into their range."""
        if self.outside != "clip" or self.out_range == "dynamic":
            return outputs
        lower, negative_upper = round_up(
            torch.tensor([self.out_range[0], -self.out_range[1]], dtype=torch.float64),
            outputs.dtype,
        ).tolist()
        return outputs.clamp(lower, -negative_upper)


def warn_outside(channel: Channel, share: float, stacklevel: int = 3) -> None:
    """Warn of the share of outputs outside their range, if there are any."""
    if share > 0:
        fate = "left out" if channel.outside == "drop" else "counted in the outermost bins"
        warnings.warn(
            f"{share:.2%} of the outputs of {channel.name} lie outside "
            f"out_range={channel.out_range} and were {fate}; pass a wider out_range, or "
            'out_range="dynamic"',
            OutOfRangeWarning,
            stacklevel=stacklevel,
        )


def stacked(modules: Sequence[nn.Module]) -> Callable[[torch.Tensor], torch.Tensor]:
    """Several modules of one architecture as one function, for `Channel.function`.

    Args:
        modules: the same layer of each run.

    Returns:
        A function from inputs (n_samples, ...), the same for all, to outputs
        (n_runs, n_samples, ...).
    """
    if len(modules) == 1:
        return lambda inputs: modules[0](inputs).unsqueeze(0)
    parameters, buffers = torch.func.stack_module_state(list(modules))
    template = modules[0]

    def one(
        parameters: dict[str, torch.Tensor], buffers: dict[str, torch.Tensor], inputs: torch.Tensor
    ) -> torch.Tensor:
        outputs: torch.Tensor = torch.func.functional_call(template, (parameters, buffers), inputs)
        return outputs

    together = torch.func.vmap(one, in_dims=(0, 0, None))

    def function(inputs: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = together(parameters, buffers, inputs)
        return outputs

    return function
