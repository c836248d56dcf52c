"""The simple gradient noise scale: at which batch size does averaging gradients stop to pay?

`B_simple = tr(Sigma) / |G|^2`, with G the mean gradient over the data and Sigma the covariance of
the gradient of single examples (McCandlish et al. 2018, "An empirical model of large-batch
training", eq. 2.9), in examples. For each parameter tensor and for all together.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from deep_bottleneck.errors import EstimationError

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Gradients = Mapping[str, torch.Tensor]
Inputs = torch.Tensor | tuple[torch.Tensor, ...]

TOTAL = "total"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class NoiseScale:
    """Signal and noise of a gradient.

    Both estimates are unbiased, so either can come out negative where it is small against its
    error. Average them over many batches before dividing, if the ratio is to be stable.

    Attributes:
        noise: tr(Sigma), the variance of the gradient of one example, summed over its components.
        signal: `|G|^2`, the squared norm of the mean gradient.
    """

    noise: float
    signal: float

    @property
    def scale(self) -> float:
        """`tr(Sigma) / |G|^2` in examples; infinite without any signal, NaN without a gradient."""
        if self.signal > 0:
            return self.noise / self.signal
        return float("inf") if self.noise > 0 else float("nan")


def from_two_batch_sizes(
    small: Gradients, large: Gradients, small_size: int, large_size: int
) -> dict[str, NoiseScale]:
    """The noise scale from the gradient of a small and of a large batch.

    `E|G_B|^2 = |G|^2 + tr(Sigma)/B`, solved for both unknowns (McCandlish et al. 2018, eq. A.2).

    Args:
        small: the gradient of the mean loss over the small batch, by parameter; each may have a
            leading axis of several small batches, whose squared norms are then averaged.
        large: that over the large batch, without such an axis.
        small_size: how many examples a small batch has.
        large_size: how many the large one has.

    Returns:
        The noise scale for each parameter, and for all together under "total".

    Raises:
        ValueError: if the large batch is not larger than the small one, or their parameters differ.
    """
    if not 0 < small_size < large_size:
        raise ValueError(
            "expected a small batch of at least 1 example and a larger one, got "
            f"{small_size} and {large_size}"
        )
    if small.keys() != large.keys():
        raise ValueError(
            f"the gradients are of different parameters: {sorted(small)} and {sorted(large)}"
        )
    scales = {}
    for name, gradient in large.items():
        of_large = _squared_norm(gradient)
        of_small = _squared_norm(small[name]) * gradient.numel() / small[name].numel()
        scales[name] = from_squared_norms(of_small, of_large, small_size, large_size)
    return _with_total(scales)


def from_squared_norms(
    of_small: float, of_large: float, small_size: int, large_size: int
) -> NoiseScale:
    """The noise scale from the squared norms that `from_two_batch_sizes` takes from gradients.

    Args:
        of_small: `|G_B|^2` of a small batch, or its mean over several.
        of_large: that of the large batch.
        small_size: how many examples a small batch has.
        large_size: how many the large one has, more than a small one.
    """
    noise = (of_small - of_large) / (1 / small_size - 1 / large_size)
    signal = (large_size * of_large - small_size * of_small) / (large_size - small_size)
    return NoiseScale(noise, signal)


def from_per_example_gradients(gradients: Gradients) -> dict[str, NoiseScale]:
    """The noise scale from the gradient of every single example.

    tr(Sigma) is the unbiased sample variance, and `|G|^2` what remains of the squared norm of the
    mean gradient when tr(Sigma)/N is taken off.

    Args:
        gradients: by parameter, shape (n_examples, ...), as `per_example_gradients` gives them.

    Returns:
        The noise scale for each parameter, and for all together under "total".

    Raises:
        ValueError: if there are fewer than two examples.
    """
    scales = {}
    for name, gradient in gradients.items():
        n_examples = len(gradient)
        if n_examples < 2:
            raise ValueError(f"expected at least two examples, got {n_examples} for {name}")
        mean = gradient.mean(dim=0, dtype=torch.float64)
        noise = _squared_norm(gradient - mean) / (n_examples - 1)
        scales[name] = NoiseScale(noise, _squared_norm(mean) - noise / n_examples)
    return _with_total(scales)


def per_example_gradients(
    model: nn.Module, loss: Loss, inputs: Inputs, targets: torch.Tensor
) -> dict[str, torch.Tensor]:
    """The gradient of the loss of every single example.

    Args:
        model: a network without layers whose output for one example depends on the others; a Keras
            model must be on the torch backend.
        loss: from outputs and targets, both with a batch axis of length 1, to a single number.
        inputs: shape (n_examples, ...), or a tuple of several inputs.
        targets: shape (n_examples, ...).

    Returns:
        By parameter that requires a gradient, of shape n_examples times the parameter's. A Keras
        model's are named like "sequential/dense.kernel".

    Raises:
        TypeError: if the model is not one of PyTorch.
        ValueError: if there is not one target for each input, no parameter requires a gradient,
            or the loss of an example is not a single number.
        EstimationError: if the model has batch normalisation in training mode.
    """
    given = inputs if isinstance(inputs, tuple) else (inputs,)
    _check(model, given, targets)
    parameters, outputs_of = _parametrised(model)
    if not parameters:
        raise ValueError(f"no parameter of {type(model).__name__} requires a gradient")

    def value(
        parameters: dict[str, torch.Tensor], example: tuple[torch.Tensor, ...], target: torch.Tensor
    ) -> torch.Tensor:
        found = loss(outputs_of(parameters, example), target)
        if found.numel() != 1:
            raise ValueError(
                "the loss of an example must be a single number, got shape "
                f'{tuple(found.shape)}: choose reduction="mean" or "sum"'
            )
        return found.reshape(())

    gradient = torch.func.grad(value)
    examples, target = tuple(part.unsqueeze(1) for part in given), targets.unsqueeze(1)
    if not any(isinstance(module, nn.RNNBase) for module in model.modules()):
        together = torch.func.vmap(gradient, in_dims=(None, 0, 0), randomness="different")
        try:
            return together(parameters, examples, target)
        except RuntimeError as error:  # what depends on values cannot be vectorised
            logger.info("one example at a time, as %s", error)
    single = [
        gradient(parameters, tuple(example), of_one)
        for *example, of_one in zip(*examples, target, strict=True)
    ]
    return {name: torch.stack([one[name] for one in single]) for name in parameters}


def gradient_noise_scale(
    model: nn.Module,
    loss: Loss,
    inputs: Inputs,
    targets: torch.Tensor,
    *,
    chunk_size: int = 256,
) -> dict[str, NoiseScale]:
    """The simple noise scale of a network on a batch, from the gradients of its examples.

    The same as `from_per_example_gradients` of all examples at once, without ever holding the
    gradients of more than a chunk of them.

    Args:
        model: as for `per_example_gradients`.
        loss: as for `per_example_gradients`.
        inputs: shape (n_examples, ...), or a tuple of several inputs.
        targets: shape (n_examples, ...).
        chunk_size: of how many examples to hold the gradients at once.

    Returns:
        The noise scale for each parameter, and for all together under "total".

    Raises:
        TypeError: as for `per_example_gradients`.
        ValueError: as for `per_example_gradients`, if there are fewer than two examples, or the
            chunk size is not a positive integer.
        EstimationError: if the model has batch normalisation in training mode.
    """
    given = inputs if isinstance(inputs, tuple) else (inputs,)
    n_examples = len(targets)
    if not isinstance(chunk_size, int) or chunk_size < 1:
        raise ValueError(f"chunk_size must be a positive integer, got {chunk_size!r}")
    _check(model, given, targets)
    if n_examples < 2:
        raise ValueError(f"expected at least two examples, got {n_examples}")
    means: dict[str, torch.Tensor] = {}
    spreads: dict[str, float] = {}
    seen = 0
    chunks = (torch.split(part, chunk_size) for part in (*given, targets))
    for *some_inputs, some_targets in zip(*chunks, strict=True):
        size = len(some_targets)
        gradients = per_example_gradients(model, loss, tuple(some_inputs), some_targets)
        for name, gradient in gradients.items():
            # means and sums of squares of two parts combined (Chan et al. 1979, eq. 2.1)
            mean = gradient.mean(dim=0, dtype=torch.float64)
            difference = mean - means.get(name, torch.zeros_like(mean))
            weight = seen * size / (seen + size)
            within = _squared_norm(gradient - mean)
            between = weight * _squared_norm(difference)
            spreads[name] = spreads.get(name, 0.0) + within + between
            means[name] = means.get(name, 0.0) + difference * (size / (seen + size))
        seen += size
    scales = {}
    for name, mean in means.items():
        noise = spreads[name] / (n_examples - 1)
        scales[name] = NoiseScale(noise, _squared_norm(mean) - noise / n_examples)
    return _with_total(scales)


def by_layer(scales: Mapping[str, NoiseScale]) -> dict[str, NoiseScale]:
    """Noise scales of layers from those of their parameters.

    Args:
        scales: by the parameters' names in their model, such as "0.weight" and "0.bias".

    Returns:
        By the names of the modules the parameters belong to, and "total".
    """
    layers: dict[str, list[NoiseScale]] = {}
    for name, scale in scales.items():
        layers.setdefault(name.rpartition(".")[0] if name != TOTAL else TOTAL, []).append(scale)
    return {layer: _sum(parts) for layer, parts in layers.items()}


def _parametrised(
    model: nn.Module,
) -> tuple[
    dict[str, torch.Tensor],
    Callable[[dict[str, torch.Tensor], tuple[torch.Tensor, ...]], torch.Tensor],
]:
    """The parameters that require a gradient, and a function from parameters and inputs."""
    if hasattr(model, "stateless_call"):  # of Keras, whose variables are not those of its module
        return _of_keras(model)
    parameters = {
        name: parameter.detach()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }
    return parameters, lambda parameters, inputs: torch.func.functional_call(
        model, parameters, inputs
    )


def _of_keras(model: Any) -> Any:
    variables = model.trainable_variables
    names = [".".join(variable.path.rsplit("/", 1)) for variable in variables]
    fixed = [variable.value.detach() for variable in model.non_trainable_variables]

    def outputs_of(
        parameters: dict[str, torch.Tensor], inputs: tuple[torch.Tensor, ...]
    ) -> torch.Tensor:
        given = list(inputs) if len(inputs) > 1 else inputs[0]
        return model.stateless_call([parameters[name] for name in names], fixed, given)[0]

    values = (variable.value.detach() for variable in variables)
    return dict(zip(names, values, strict=True)), outputs_of


def _check(model: nn.Module, inputs: tuple[torch.Tensor, ...], targets: torch.Tensor) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(
            "expected a torch.nn.Module, or a Keras model on the torch backend, got "
            f"{type(model).__name__}"
        )
    for part in inputs:
        if len(part) != len(targets):
            raise ValueError(f"got {len(part)} inputs but {len(targets)} targets")
    for name, module in model.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training:
            raise EstimationError(
                f"{name or module} is batch normalisation in training mode, where an example's "
                "gradient depends on the others: call eval() on the network first"
            )


def _squared_norm(values: torch.Tensor) -> float:
    return float(values.double().square().sum())


def _sum(parts: list[NoiseScale]) -> NoiseScale:
    return NoiseScale(sum(part.noise for part in parts), sum(part.signal for part in parts))


def _with_total(scales: dict[str, NoiseScale]) -> dict[str, NoiseScale]:
    return {**scales, TOTAL: _sum(list(scales.values()))}
