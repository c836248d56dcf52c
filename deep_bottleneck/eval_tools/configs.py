"""Configs of stored experiments: what differs between them, and how to write it in a title."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

SEED = "seed"
_ABSENT = "absent"
_PLAIN = (str, int, float, bool, type(None))


class HasConfig(Protocol):
    """Anything with hyperparameters."""

    @property
    def config(self) -> Mapping[str, Any]:
        """The hyperparameters, possibly nested."""
        ...


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested config with dots between the keys; lists stay as they are."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found


def text(value: Any) -> str:
    """A hyperparameter as a JSON config has it, without quotes around strings."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def differing_keys(configs: Iterable[Mapping[str, Any]]) -> list[str]:
    """The keys, nested ones with dots, whose values are not the same in all configs, sorted."""
    first, *others = [flat(config) for config in configs] or [{}]
    differing = {key for config in others for key in config.keys() ^ first.keys()}
    for key in first.keys() - differing:
        value, shown = first[key], text(first[key])
        if any(
            not _is_same(config[key], value) and text(config[key]) != shown for config in others
        ):
            differing.add(key)
    return sorted(differing)


def _is_same(value: Any, other: Any) -> bool:
    """Whether two values are the same without a doubt, which is faster than to write both."""
    return type(value) is type(other) and isinstance(value, _PLAIN) and value == other


def find_differing_config_keys(experiments: Iterable[HasConfig]) -> set[str]:
    """The keys, nested ones with dots, whose values differ between experiments."""
    return set(differing_keys(experiment.config for experiment in experiments))


def format_config(config: Mapping[str, Any], *keys: str) -> str:
    """Hyperparameters in one line, such as "activation_fn: relu, epochs: 100".

    Args:
        config: all hyperparameters.
        keys: which to write, nested ones with dots; all if none is given.
    """
    values = flat(config)
    chosen = keys or tuple(values)
    return ", ".join(f"{key}: {text(values.get(key, _ABSENT))}" for key in chosen)
