"""Weights and optimizer variables of many Keras models as rows of a few tensors (torch backend).

Each model's variables become views of its row: a callback that reads or sets them acts on the
stack, and a step that updates the stack updates every model.
"""

from collections.abc import Sequence
from typing import Any

import keras
import torch

Tensors = list[torch.Tensor]


class Stack:
    """The state of several models of one architecture, a row for each.

    Attributes:
        parameters: the trainable weights of each model, one after the other, shape (models,
            weights).
        others: the other weights (moving averages, say), each of shape (models, ...).
        optimizer: the models' optimizer for a single variable, the vector of all weights.
        optimizer_state: its variables, each of shape (models, ...).
    """

    def __init__(self, models: Sequence[keras.Model], device: torch.device) -> None:
        template = models[0]
        for model in models:
            if not model.optimizer.built:
                model.optimizer.build(model.trainable_variables)
        self._shapes = [variable.value.shape for variable in template.trainable_variables]
        self._sizes = [shape.numel() for shape in self._shapes]
        self.parameters = _stacked([_flat(model.trainable_variables) for model in models], device)
        self.others = [
            _stacked([variable.value.detach() for variable in same], device)
            for same in zip(*(model.non_trainable_variables for model in models), strict=True)
        ]
        self.optimizer = _for_one_vector(template.optimizer, self.parameters[0])
        names = [_attribute(self.optimizer, variable) for variable in self.optimizer.variables]
        self.optimizer_state = [
            _stacked(
                [_flat(_variables(model.optimizer, name)).view(variable.shape) for model in models],
                device,
            )
            for name, variable in zip(names, self.optimizer.variables, strict=True)
        ]
        for row, model in enumerate(models):
            _point(model.trainable_variables, self.split(self.parameters[row]))
            _point(model.non_trainable_variables, [stacked[row] for stacked in self.others])
            for name, stacked in zip(names, self.optimizer_state, strict=True):
                own = _variables(model.optimizer, name)
                _point(own, self.split(stacked[row]) if stacked.ndim > 1 else [stacked[row]])

    def split(self, row: torch.Tensor) -> Tensors:
        """One model's weights, each in its own shape, as views of its row."""
        pieces = row.split(self._sizes)
        return [piece.view(shape) for piece, shape in zip(pieces, self._shapes, strict=True)]

    def columns(self, index: int, matrix: torch.Tensor) -> torch.Tensor:
        """What a matrix like `parameters` holds of one weight, shape (models, size of weight)."""
        return matrix.split(self._sizes, dim=1)[index]

    @property
    def tensors(self) -> Tensors:
        """All state, as `update` writes it."""
        return [self.parameters, *self.others, *self.optimizer_state]

    def update(self, parameters: torch.Tensor, others: Tensors, optimizer_state: Tensors) -> None:
        """Write new values into the stack, in place."""
        new = [parameters, *others, *optimizer_state]
        for target, value in zip(self.tensors, new, strict=True):
            target.copy_(value)


def detach(model: keras.Model, device: torch.device) -> None:
    """Give a model's variables storage of their own again, on a device."""
    for variables in (model.variables, model.optimizer.variables):
        own = [variable.value.detach().clone().to(device) for variable in variables]
        _point(variables, own)


def _stacked(values: Sequence[torch.Tensor], device: torch.device) -> torch.Tensor:
    return torch.stack(list(values)).to(device)


def _point(variables: Sequence[Any], values: Sequence[torch.Tensor]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.value.data = value


def _flat(variables: Sequence[Any]) -> torch.Tensor:
    return torch.cat([variable.value.detach().flatten() for variable in variables])


def _for_one_vector(optimizer: keras.Optimizer, vector: torch.Tensor) -> keras.Optimizer:
    """The same optimizer, built for one variable, in Keras' plain form.

    Keras swaps its optimizers for versions on torch's `_foreach` operations, which cannot be
    vectorised over runs; it leaves subclasses as they are.
    """
    plain: Any = getattr(keras.optimizers, type(optimizer).__name__)
    subclass: Any = type(plain.__name__, (plain,), {})
    unswapped = subclass.from_config(optimizer.get_config())
    unswapped.build([keras.Variable(vector)])
    return unswapped


def _attribute(optimizer: keras.Optimizer, variable: Any) -> str:
    """The attribute that holds an optimizer's variable, alone or as a list with a slot a weight."""
    bookkeeping = {"_variables", "_trainable_variables"}
    for name, value in vars(optimizer).items():
        held = value if isinstance(value, list) else [value]
        if name not in bookkeeping and any(item is variable for item in held):
            return name
    raise ValueError(
        f"{type(optimizer).__name__} has no attribute for its variable {variable.path}"
    )


def _variables(optimizer: keras.Optimizer, name: str) -> list[Any]:
    value = getattr(optimizer, name)
    return value if isinstance(value, list) else [value]
