"""Import path -> module -> load(), with the arguments matched by name."""

import contextlib
import difflib
import importlib
import importlib.util
import inspect
import pkgutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from deep_bottleneck.errors import ConfigError

_PACKAGE = "deep_bottleneck"


@dataclass(frozen=True)
class Component:
    """A plug-in that was found, and the arguments its config entry gives it.

    Attributes:
        key: the config key that names it, for error messages.
        path: the import path as the config has it.
        target: the module's `load`, or a class or function named directly.
        module: the module it was found in.
        takes_values: whether run-time values are matched by name: true for a `load`, false for a
            class or function that knows nothing of us.
        arguments: arguments by position, for the parameters that no run-time value fills.
        keywords: arguments by name; they win over run-time values.
    """

    key: str
    path: str
    target: Callable[..., Any]
    module: ModuleType
    takes_values: bool = True
    arguments: Sequence[Any] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)

    def check(self, names: Collection[str]) -> None:
        """Make sure that `load` can be called once values of these names are known.

        Raises:
            ConfigError: if a parameter is missing, or an argument is one too many or unknown.
        """
        self._bind(dict.fromkeys(names))

    def wants(self, name: str) -> bool:
        """Whether `load` asks for a value of this name."""
        return name in inspect.signature(self.target).parameters

    def load(self, values: Mapping[str, Any]) -> Any:
        """Call `load` with whatever its signature asks for out of these values."""
        bound = self._bind(values)
        return self.target(*bound.args, **bound.kwargs)

    def _bind(self, values: Mapping[str, Any]) -> inspect.BoundArguments:
        signature = inspect.signature(self.target)
        parameters = signature.parameters
        known = {name: values[name] for name in parameters if name in values}
        named = {**(known if self.takes_values else {}), **self.keywords}
        free = [
            name
            for name, parameter in parameters.items()
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD and name not in named
        ]
        wanted = ", ".join(parameters) or "no arguments"
        if len(self.arguments) > len(free):
            raise ConfigError(
                f'"{self.key}": {self.path} got {len(self.arguments)} arguments '
                f"({_listed(self.arguments)}) but takes {len(free)} ({wanted})"
            )
        named.update(zip(free, self.arguments, strict=False))
        try:
            return signature.bind(**named)
        except TypeError as error:
            raise ConfigError(f'"{self.key}": {self.path} takes {wanted}; {error}') from None


def find(key: str, path: str, arguments: Sequence[Any] = (), **keywords: Any) -> Component:
    """Import the module that a path names and find its `load`.

    A short path (`datasets.harmonics`) is looked up inside this package; any other path is taken
    as it stands, so a plug-in may live in the user's own repository. A path may also end in a class
    or function (`keras.callbacks.EarlyStopping`), which is then called with the entry's arguments
    alone.

    Args:
        key: the config key, for error messages.
        path: the import path.
        arguments: arguments of the config entry by position.
        **keywords: arguments of the config entry by name.

    Raises:
        ConfigError: if nothing can be imported there, or what is there cannot be loaded.
    """
    tried = [f"{_PACKAGE}.{path}", path]
    for name in tried:
        if _exists(name):
            module = _imported(key, name)
            target = getattr(module, "load", None)
            if target is None:
                raise ConfigError(
                    f'"{key}": the module {name} has no function load(), which every plug-in needs'
                )
            return Component(key, path, target, module, True, arguments, keywords)
    parent, _, attribute = path.rpartition(".")
    if parent and _exists(parent):
        module = _imported(key, parent)
        target = getattr(module, attribute, None)
        if callable(target):
            return Component(key, path, target, module, False, arguments, keywords)
    raise ConfigError(
        f'"{key}": no module {path!r} can be imported (tried {" and ".join(tried)})'
        + _suggestion(path)
    )


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(map(repr, values))


def _exists(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _imported(key: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise ConfigError(
            f'"{key}": the module {name} fails when it is imported: {type(error).__name__}: {error}'
        ) from error


def _suggestion(path: str) -> str:
    parent, _, name = path.rpartition(".")
    package = f"{_PACKAGE}.{parent}" if parent else _PACKAGE
    if not _exists(package):
        return ""
    siblings = list(_plug_ins(package))
    close = difflib.get_close_matches(name, siblings, n=1)
    prefix = f"{parent}." if parent else ""
    if close:
        return f"; did you mean {prefix}{close[0]}?"
    return f"; there are {', '.join(prefix + sibling for sibling in siblings)}" if siblings else ""


def _plug_ins(package: str) -> Iterator[str]:
    """The modules of a package that have a `load`."""
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        with contextlib.suppress(Exception):
            if hasattr(importlib.import_module(f"{package}.{module.name}"), "load"):
                yield module.name
