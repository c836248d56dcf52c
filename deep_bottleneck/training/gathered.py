"""What callbacks have gathered: they say it themselves, or their attributes tell it."""

import inspect
import logging
from pathlib import PurePath
from types import BuiltinFunctionType, FunctionType, ModuleType, NoneType
from typing import Any, Protocol, runtime_checkable

import keras

from deep_bottleneck.training.plain_values import is_plain
from deep_bottleneck.training.recorder import Recorder, State

logger = logging.getLogger(__name__)

# in which nothing can be gathered: such an attribute is another, or it is as it was
_UNCHANGING = (
    *(NoneType, bool, int, float, str, bytes, PurePath),
    *(FunctionType, BuiltinFunctionType, ModuleType, type),
)


@runtime_checkable
class Stateful(Protocol):
    """A callback that says what it has gathered."""

    def state(self) -> State:
        """Plain values, by name."""
        ...

    def restore(self, state: State) -> None:
        """Take them back."""
        ...


def class_of(callback: keras.callbacks.Callback | Recorder) -> str:
    """The class of a callback, with its module."""
    kind = type(callback)
    return f"{kind.__module__}.{kind.__qualname__}"


class Gathered:
    """What a callback has gathered.

    One that has no methods `state` and `restore` is asked for its attributes. Those that Keras sets
    are none of it, nor are those that are still what they were when training began.
    """

    def __init__(self, callback: keras.callbacks.Callback | Recorder, told: set[str]) -> None:
        """Store the callback.

        Args:
            callback: the callback.
            told: what the log has been told, which is told once of all callbacks of a class.
        """
        self._callback = callback
        self._told = told
        self._at_first: dict[str, Any] = {}

    def begin(self) -> None:
        """Note what the callback has when training begins, before it gathers anything."""
        self._at_first = dict(vars(self._callback))

    def state(self) -> dict[str, Any]:
        """All that is plain; the log names what is not."""
        callback = self._callback
        held = callback.state() if isinstance(callback, Stateful) else self._attributes()
        plain = {name: value for name, value in held.items() if is_plain(value)}
        for name in held.keys() - plain.keys():
            self._tell(
                f"A checkpoint leaves out {name} of {class_of(self._callback)}, which is no plain "
                f"value but a {type(held[name]).__name__}: where training goes on, the callback "
                "has what it begins with"
            )
        return plain

    def restore(self, state: State) -> None:
        """Let the callback have it; `on_train_begin` and `begin` come before."""
        if isinstance(self._callback, Stateful):
            self._callback.restore(state)
            return
        of_config = inspect.signature(type(self._callback)).parameters
        for name, value in state.items():
            # such as the path of a file to write
            if name in of_config and isinstance(value, str):
                self._tell(f"{name} of {class_of(self._callback)} stays what the config says")
            else:
                vars(self._callback)[name] = value

    def _attributes(self) -> State:
        of_keras = vars(keras.callbacks.Callback()).keys()
        return {
            name: value
            for name, value in vars(self._callback).items()
            if name not in of_keras and not self._is_as_at_first(name, value)
        }

    def _is_as_at_first(self, name: str, value: object) -> bool:
        return isinstance(value, _UNCHANGING) and value is self._at_first.get(name, self)

    def _tell(self, message: str) -> None:
        if message not in self._told:
            self._told.add(message)
            logger.warning(message)
