"""Reads config files."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deep_bottleneck.config.messages import quoted
from deep_bottleneck.errors import ConfigError


def read(path: Path) -> dict[str, Any]:
    """Read a JSON config, with a byte order mark in front or without.

    Raises:
        ConfigError: if the file is missing, is not JSON, is not an object or repeats a key.
    """

    def unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        repeated = {key for key in keys if keys.count(key) > 1}
        if repeated:
            raise ConfigError(f"{path}: the key {quoted(sorted(repeated))} stands there twice")
        return dict(pairs)

    try:
        values = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=unique)
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{path}: not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(
            f"{path}: expected a JSON object with hyperparameters, got a {type(values).__name__}"
        )
    return values
