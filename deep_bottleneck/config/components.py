"""Import path -> module -> load(), with the arguments matched by name."""

import contextlib
import difflib
import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, TypeVar, get_type_hints

from deep_bottleneck.config.messages import mistake
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import BasePlotter, MutualInformationEstimator

_PACKAGE = "deep_bottleneck"
_ROOT = Path(__file__).resolve().parent.parent
# of the plug-ins that a config key names
FOLDERS = {
    "callbacks": "callbacks",
    "dataset": "datasets",
    "estimator": "mi_estimator",
    "model": "models",
    "plotters": "plotter",
}
# what estimators and plotters had that were written for the original, and what to write now
_OF_THE_ORIGINAL = ("compute_mi", "generate", "plotname")
_INSTEAD: Mapping[type, str] = {
    MutualInformationEstimator: (
        "give its class the base deep_bottleneck.interfaces.MutualInformationEstimator and, in "
        "place of compute_mi(), a method estimate(activations, labels), which gets one layer at "
        "one epoch of all runs and returns a LayerInformation in bits"
    ),
    BasePlotter: (
        "take out plotname and generate(), and let plot(results) read results.tables and return "
        '{"name": figure}, which is saved for it'
    ),
}

Kind = TypeVar("Kind")


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
            ConfigError: if a parameter is missing, an argument is one too many, unknown, or of a
                type that `load` does not take.
        """
        values = dict.fromkeys(names)
        self._bind(values)
        own = self._own_arguments(values)
        types = _types_of_parameters(self.target) if own else {}
        for name, value in own.items():
            wanted = mistake(value, types[name]) if name in types else ""
            if wanted:
                raise ConfigError(
                    f'"{self.key}": {self.path} got {value!r} as "{name}", which {wanted}'
                )

    def wants(self, name: str) -> bool:
        """Whether `load` asks for a value of this name."""
        return name in self._signature.parameters

    def argument(self, name: str, names: Collection[str]) -> Any:
        """What its config entry gives for a parameter of `load`, or else `load`'s own default.

        Args:
            name: of the parameter.
            names: of the run-time values, which its arguments by position leave out.
        """
        return self._own_arguments(dict.fromkeys(names)).get(name, self.default(name))

    def default(self, name: str) -> Any:
        """What `load` takes for a value of this name that nobody gives; None if it needs one."""
        parameter = self._signature.parameters.get(name)
        has_one = parameter is not None and parameter.default is not parameter.empty
        return parameter.default if parameter and has_one else None

    @property
    def names_run(self) -> bool:
        """Whether one of its texts has `{run}` in it."""
        texts = [*self.arguments, *self.keywords.values()]
        return any(isinstance(text, str) and "{run}" in text for text in texts)

    def of_run(self, run: int) -> "Component":
        """The same for one of several runs: `{run}` in its texts is the number of the run."""

        def told(value: Any) -> Any:
            return value.replace("{run}", str(run)) if isinstance(value, str) else value

        return replace(
            self,
            arguments=[told(value) for value in self.arguments],
            keywords={name: told(value) for name, value in self.keywords.items()},
        )

    def load(self, values: Mapping[str, Any]) -> Any:
        """Call `load` with whatever its signature asks for out of these values."""
        bound = self._bind(values)
        return self.target(*bound.args, **bound.kwargs)

    def load_as(self, kind: type[Kind] | tuple[type[Kind], ...], values: Mapping[str, Any]) -> Kind:
        """The same, made sure of: of this kind, or of one of these.

        Raises:
            ConfigError: if what `load` gives is of another kind, or is made for the original.
        """
        wanted = kind[0] if isinstance(kind, tuple) else kind
        instead = _INSTEAD.get(wanted, "")
        try:
            loaded = self.load(values)
        except TypeError as error:
            if not instead or "abstract class" not in str(error):
                raise
            raise ConfigError(f'"{self.key}": {self.path}: {error}; {instead}') from None
        former = [name for name in _OF_THE_ORIGINAL if hasattr(loaded, name)]
        if not isinstance(loaded, kind) or (wanted is BasePlotter and former):
            raise ConfigError(
                f'"{self.key}": {self.path} gave a {type(loaded).__name__}'
                + (f" with {former[0]}" if former else "")
                + f", expected a {wanted.__name__}"
                + (f"; {instead}" if former else "")
            )
        return loaded

    @cached_property
    def _signature(self) -> inspect.Signature:
        try:
            return inspect.signature(self.target)
        except ValueError:
            raise ConfigError(
                f'"{self.key}": {self.path} does not say which arguments it takes'
            ) from None

    @property
    def _takes(self) -> str:
        return ", ".join(self._signature.parameters) or "no arguments"

    def _known(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Those run-time values that `load` asks for."""
        if not self.takes_values:
            return {}
        return {name: values[name] for name in self._signature.parameters if name in values}

    def _own_arguments(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of the config entry by name."""
        filled = {**self._known(values), **self.keywords}
        free = [
            name
            for name, parameter in self._signature.parameters.items()
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD and name not in filled
        ]
        if len(self.arguments) > len(free):
            raise ConfigError(
                f'"{self.key}": {self.path} got {len(self.arguments)} arguments '
                f"({_listed(self.arguments)}) but takes {len(free)} ({self._takes})"
            )
        return {**self.keywords, **dict(zip(free, self.arguments, strict=False))}

    def _bind(self, values: Mapping[str, Any]) -> inspect.BoundArguments:
        named = {**self._known(values), **self._own_arguments(values)}
        try:
            return self._signature.bind(**named)
        except TypeError as error:
            raise ConfigError(f'"{self.key}": {self.path} takes {self._takes}; {error}') from None


def in_folder(key: str, path: str) -> str:
    """The path of a plug-in of ours that a config key names without its folder.

    "harmonics" as a "dataset" is "datasets.harmonics", where no other module has that name; any
    other path is returned as it is.
    """
    ours = f"{FOLDERS[key]}.{path}"
    is_ours = path.isidentifier() and (_ROOT / FOLDERS[key] / f"{path}.py").is_file()
    is_of_python = path in sys.stdlib_module_names
    is_theirs = is_ours and not is_of_python and importlib.util.find_spec(path) is not None
    return ours if is_ours and not is_theirs else path


def find(
    key: str,
    path: str,
    arguments: Sequence[Any] = (),
    keywords: Mapping[str, Any] = MappingProxyType({}),
) -> Component:
    """Import the module that a path names and find its `load`.

    A short path (`datasets.harmonics`) is looked up inside this package; any other path is taken
    as it stands, so a plug-in may live in the user's own repository. A path may also end in a class
    or function (`keras.callbacks.EarlyStopping`), which is then called with the entry's arguments
    alone.

    Args:
        key: the config key, for error messages.
        path: the import path.
        arguments: arguments of the config entry by position.
        keywords: arguments of the config entry by name.

    Raises:
        ConfigError: if nothing can be imported there, or what is there cannot be loaded.
    """
    tried = [f"{_PACKAGE}.{path}", path]
    for name in tried:
        if _exists(key, name):
            module = _imported(key, name)
            target = getattr(module, "load", None)
            if target is None:
                raise ConfigError(
                    f'"{key}": the module {name} has no function load(), which every plug-in needs'
                )
            return Component(key, path, target, module, True, arguments, keywords)
    parent, _, attribute = path.rpartition(".")
    if parent and _exists(key, parent):
        module = _imported(key, parent)
        target = getattr(module, attribute, None)
        if callable(target):
            return Component(key, path, target, module, False, arguments, keywords)
    raise ConfigError(
        f'"{key}": no module {path!r} can be imported (tried {" and ".join(tried)})'
        + _suggestion(key, path)
    )


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(map(repr, values))


def _types_of_parameters(target: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a function or of a class's `__init__`, none if they cannot be resolved."""
    try:
        return get_type_hints(target.__init__ if inspect.isclass(target) else target)
    except (AttributeError, NameError, SyntaxError, TypeError):
        return {}


def _exists(key: str, name: str) -> bool:
    """Whether there is such a module, for which the packages above it are imported."""
    try:
        return importlib.util.find_spec(name) is not None
    except ValueError:
        return False
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and f"{name}.".startswith(f"{error.name}."):
            return False
        raise _failed_import(key, f"a package above {name}", error) from error


def _imported(key: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise _failed_import(key, f"the module {name}", error) from error


def _failed_import(key: str, what: str, error: Exception) -> ConfigError:
    kind = type(error).__name__
    return ConfigError(f'"{key}": {what} fails when it is imported: {kind}: {error}')


def _suggestion(key: str, path: str) -> str:
    parent, _, name = path.rpartition(".")
    parent = parent or FOLDERS.get(key, "")
    package = f"{_PACKAGE}.{parent}" if parent else _PACKAGE
    if not _exists(key, package):
        return ""
    siblings = list(_plug_ins(importlib.import_module(package)))
    close = difflib.get_close_matches(name, siblings, n=1)
    prefix = f"{parent}." if parent else ""
    if close:
        return f"; did you mean {prefix}{close[0]}?"
    return f"; there are {', '.join(prefix + sibling for sibling in siblings)}" if siblings else ""


def _plug_ins(package: ModuleType) -> Iterator[str]:
    """The modules of a package that have a `load`; a module that is no package has none."""
    for module in pkgutil.iter_modules(getattr(package, "__path__", ())):
        with contextlib.suppress(Exception):
            if hasattr(importlib.import_module(f"{package.__name__}.{module.name}"), "load"):
                yield module.name
