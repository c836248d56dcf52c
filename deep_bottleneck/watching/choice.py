"""Which layers to watch: by name, shell pattern, type or module."""

import difflib
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from deep_bottleneck.errors import ConfigError

PATTERN = frozenset("*?[")


def chosen_layers(wanted: Any, layers: Mapping[str, Any]) -> list[str]:
    """The names of the layers that are wanted, in the order of the network.

    Args:
        wanted: names, shell patterns such as "encoder.*.mlp.*", types and layers, or one of them.
        layers: each layer by its name.

    Raises:
        ConfigError: if an entry is none of these, or picks no layer.
    """
    entries = wanted if isinstance(wanted, list | tuple | set | frozenset) else [wanted]
    if not entries:
        raise ConfigError("layers names no layer: give names, patterns, types or layers")
    picked = {name for entry in entries for name in _picked(entry, layers)}
    return [name for name in layers if name in picked]


def by_layer(argument: str, given: Any, names: Sequence[str], default: Any) -> dict[str, Any]:
    """What was given for each layer: one thing for all, or things by name or pattern.

    Raises:
        ConfigError: if a name or pattern fits no layer.
    """
    if not isinstance(given, Mapping):
        return dict.fromkeys(names, given)
    found = dict.fromkeys(names, default)
    # names come last, since they win over patterns
    for entry in sorted(given, key=lambda entry: entry in names):
        fitting = [name for name in names if name == entry or fnmatchcase(name, str(entry))]
        if not fitting:
            raise ConfigError(f"{argument}: {_unknown(str(entry), names)}")
        found |= dict.fromkeys(fitting, given[entry])
    return found


def _picked(entry: Any, layers: Mapping[str, Any]) -> list[str]:
    if isinstance(entry, str):
        if entry in layers:
            return [entry]
        found = [name for name in layers if PATTERN & set(entry) and fnmatchcase(name, entry)]
        if not found:
            raise ConfigError(f"layers: {_unknown(entry, list(layers))}")
        return found
    if isinstance(entry, type):
        found = [name for name, layer in layers.items() if isinstance(layer, entry)]
        if not found:
            kinds = sorted({type(layer).__name__ for layer in layers.values()})
            raise ConfigError(
                f"layers: the network has no {entry.__name__}; its layers are {', '.join(kinds)}"
            )
        return found
    found = [name for name, layer in layers.items() if layer is entry]
    if not found:
        raise ConfigError(
            f"layers: {type(entry).__name__} is no layer of the network that gives an output; "
            "give names, shell patterns, types or layers"
        )
    return found


def _unknown(entry: str, names: Sequence[str]) -> str:
    """The sentence for a name or pattern that fits no layer."""
    if PATTERN & set(entry):
        return f"the pattern {entry!r} fits no layer; there are {_some(names)}"
    close = difflib.get_close_matches(entry, names, n=3)
    hint = (
        f"did you mean {' or '.join(map(repr, close))}?" if close else f"there are {_some(names)}"
    )
    return f"the network has no layer {entry!r}; {hint}"


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:12]))
    return f"{shown} and {len(names) - 12} more" if len(names) > 12 else shown
