"""What all measures of similarity have in common."""

from abc import ABC, abstractmethod
from typing import Generic, NamedTuple, TypeVar

import torch

from deep_bottleneck.information.arrays import Array, as_tensor

Prepared = TypeVar("Prepared", bound=NamedTuple)


class Measure(ABC, Generic[Prepared]):
    """How alike two representations of the same examples are, from 0 to 1.

    A representation is of shape (..., n_examples, n_units). Work that concerns it alone is done in
    `prepare`, so that one that is compared with many is worked through once. Leading axes are
    batched; those of two representations are broadcast.
    """

    name: str
    least_examples = 2

    def __call__(self, x: Array, y: Array) -> torch.Tensor:
        """Compare two representations.

        Args:
            x: shape (..., n_examples, n_units).
            y: shape (..., n_examples, n_other_units), of the same examples in the same order.

        Returns:
            float64, of the broadcast shape of the leading axes; NaN where a representation is the
            same for all examples, or has values that are NaN or infinite.

        Raises:
            ValueError: if the representations are not of the same examples, or of too few.
        """
        first, second = as_representation(x), as_representation(y)
        if first.shape[-2] != second.shape[-2]:
            raise ValueError(
                "two representations must be of the same examples, got "
                f"{first.shape[-2]} and {second.shape[-2]} of them"
            )
        if first.shape[-2] < self.least_examples:
            raise ValueError(
                f"{self.name} needs at least {self.least_examples} examples, got {first.shape[-2]}"
            )
        return self.between(self.prepare(first), self.prepare(second))

    @abstractmethod
    def prepare(self, x: torch.Tensor) -> Prepared:
        """What `between` needs of one representation, as `as_representation` gives it.

        Returns:
            Tensors with the leading axes of the representation.
        """

    @abstractmethod
    def between(self, x: Prepared, y: Prepared) -> torch.Tensor:
        """Compare two representations that were prepared."""


def as_representation(x: Array) -> torch.Tensor:
    """The array in float64 and centred, each unit's mean over examples at 0.

    All of its values are divided by the same power of two, so that the largest is between 1 and 2:
    no measure depends on a scale common to all units, and the products of large or small values
    that they take would leave the range of float64. A representation with values that are NaN or
    infinite becomes one of zeros, for which no measure is defined.

    Args:
        x: shape (..., n_examples, n_units).

    Raises:
        ValueError: if the array has not at least two axes, or one of the last two is empty.
    """
    values = as_tensor(x)
    if values.dim() < 2 or 0 in values.shape[-2:]:
        raise ValueError(
            "a representation must have shape (..., n_examples, n_units), got "
            f"{tuple(values.shape)}"
        )
    values = values.to(torch.float64)
    finite = values.isfinite().all(dim=-1, keepdim=True).all(dim=-2, keepdim=True)
    values = _in_range(torch.where(finite, values, 0.0))
    centred = values - values.mean(dim=-2, keepdim=True)
    # what is left of equal values is rounding
    constant = values.amax(dim=-2, keepdim=True) == values.amin(dim=-2, keepdim=True)
    return torch.where(constant, 0.0, centred)


def _in_range(values: torch.Tensor) -> torch.Tensor:
    """Each representation divided by the power of two below its largest value."""
    largest = values.abs().amax(dim=(-2, -1), keepdim=True)
    exponents = torch.frexp(largest).exponent.to(torch.float64) - 1
    return values / torch.exp2(exponents)
