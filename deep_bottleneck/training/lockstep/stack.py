"""The state of many Keras models as one, and the models whenever somebody looks at them.

Keras lets a trainer on JAX keep the values of a model's variables to itself: whoever looks at the
model calls `Model.jax_state_sync` first, as `Callback.model` does, and that asks the trainer for
`_jax_state`. So only the models that are looked at are given their values, and only what was
changed there is taken over.
"""

from collections.abc import Sequence
from typing import Any

import jax
import keras
import numpy as np

from deep_bottleneck.interfaces import BoolArray, IntArray
from deep_bottleneck.training.lockstep.programs import State, replaced_row, row_of


class Stack:
    """The models of a group, a row for each.

    Attributes:
        rows: the number of each run.
        training: the positions of those that still train, ascending.
    """

    def __init__(
        self, models: Sequence[keras.Model], runs: Sequence[int], device: jax.Device
    ) -> None:
        """Stack compiled models.

        Args:
            models: one for each run.
            runs: their numbers.
            device: where their state is to lie.
        """
        self.rows = list(runs)
        self.training: IntArray = np.arange(len(runs))
        self._device = device
        for model in models:
            if not model.optimizer.built:
                model.optimizer.build(model.trainable_variables)
        self._members = [_Member(model) for model in models]
        values = [member.values for member in self._members]
        self._state: State = jax.device_put(
            jax.tree.map(lambda *of_runs: np.stack(of_runs), *values), device
        )

    @property
    def models(self) -> list[keras.Model]:
        """The models that still train, with their current values."""
        members = [self._members[row] for row in self.training]
        for member in members:
            member.model.jax_state_sync()
        return [member.model for member in members]

    @property
    def stops(self) -> BoolArray:
        """Which of the models that still train are asked to stop; they are not given values."""
        members = [self._members[row] for row in self.training]
        return np.array([bool(member.model.stop_training) for member in members])

    @property
    def state(self) -> State:
        """The state of all rows, with what was changed in the models."""
        for row in self.training:
            changed = self._members[row].changed()
            if changed is not None:
                new = jax.device_put(changed, self._device)
                self._state = replaced_row(self._state, row, new)
                self._members[row].values = changed
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        self._state = state
        for row in self.training:
            member = self._members[row]
            # beside Keras' bookkeeping of what is set on a model
            of_model = vars(member.model)
            of_model["_jax_state"] = _Row(member, state, int(row))
            of_model["_jax_state_synced"] = False

    def freeze(self, row: int) -> None:
        """Give a model its values for good, as at the end of `model.fit`, where they came from."""
        self.training = self.training[self.training != row]
        member = self._members[row]
        member.model.jax_state_sync()
        member.model._jax_state = None
        member.model.optimizer.finalize_variable_values(member.model.trainable_variables)
        member.go_home()


class _Member:
    """A model, and the values that it was given last."""

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        # to gather them takes Keras longer than to train on some batches
        self._variables: list[list[keras.Variable]] = [
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
        ]
        self.values = self._current()
        self._homes = jax.tree.map(lambda value: value.sharding, self.values)

    def _current(self) -> State:
        return State(*([variable.value for variable in field] for field in self._variables))

    def changed(self) -> State | None:
        """The model's values, if it is not as it was given them; None if nobody changed it."""
        if not getattr(self.model, "_jax_state_synced", True):
            return None
        current = self._current()
        pairs = zip(jax.tree.leaves(current), jax.tree.leaves(self.values), strict=True)
        return current if any(value is not given for value, given in pairs) else None

    def go_home(self) -> None:
        """Put the values where the model was made."""
        values = jax.device_put(self._current(), self._homes)
        for variables, field in zip(self._variables, values, strict=True):
            for variable, value in zip(variables, field, strict=True):
                variable.assign(value)


class _Row:
    """What Keras asks for when somebody looks at a model."""

    def __init__(self, member: _Member, state: State, row: int) -> None:
        self._member, self._state, self._row = member, state, row

    def get(self, name: str, default: Any = None) -> Any:
        """The values of the variables of one kind."""
        if name == "trainable_variables":
            self._member.values = row_of(self._state, self._row)
        of_kind = dict(
            zip(
                ("trainable_variables", "non_trainable_variables", "optimizer_variables"),
                self._member.values,
                strict=True,
            )
        )
        return of_kind.get(name, default)
