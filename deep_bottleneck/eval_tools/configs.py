"""Configs of stored experiments: what differs between them, and how to write it in a title."""

import json
from collections.abc import Iterable, Mapping, Sequence
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
        if not isinstance(value, _PLAIN) and isinstance(value, Mapping) and value:
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found


def text(value: Any) -> str:
    """A hyperparameter as a JSON config has it, without quotes around strings."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)


def differing_keys(configs: Iterable[Mapping[str, Any]]) -> list[str]:
    """The keys, nested ones with dots, whose values are not the same in all configs, sorted."""
    flattened = [flat(config) for config in configs]
    keys = {key for config in flattened for key in config}
    return sorted(
        key
        for key in keys
        if not all(key in config for config in flattened)
        or _differ([config[key] for config in flattened])
    )


def _differ(values: Sequence[Any]) -> bool:
    """Whether not all values are written alike; most are alike, which need not be written out."""
    if len({repr(value) for value in values}) == 1:
        return False
    return len({text(value) for value in values}) > 1


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
