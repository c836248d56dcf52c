"""Many experiments in one config file: products and zips of values, and files that extend others.

A sweep is a config with some of these keys besides hyperparameters:

- `"extends": "../base.json"`: another file to start from, relative to this one. What this file says
  about a hyperparameter replaces what the other says about it.
- `"grid": {"activation_fn": ["tanh", "relu"], "seed": [0, 1]}`: every combination of the values.
- `"zip": {"optimizer": ["sgd", "adam"], "learning_rate": [0.1, 0.001]}`: the first values together,
  the second together, and so on; each of them with every combination of the grid.

A dotted key varies one element of a hyperparameter: `"dataset_options.label_noise"`.

Where a sweep says nothing about the seed, each experiment has one of its own: always the same for
the same hyperparameters.
"""

import ast
import hashlib
import itertools
import json
import math
import re
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deep_bottleneck.config.reading import read
from deep_bottleneck.errors import ConfigError

SWEEP_KEYS = ("extends", "grid", "zip")
LONGEST_NAME = 150
MOST_EXPERIMENTS = 100_000
N_SEEDS = 2**32

Values = dict[str, Any]


@dataclass(frozen=True)
class Combination:
    """One experiment of a config file.

    Attributes:
        name: for a file that is no sweep its path; else the file's name with the varied values,
            which is a file name without its suffix.
        source: the file.
        hyperparameters: all that it, its bases and the command line give.
        varied: those that differ between the file's experiments, by their dotted key.
    """

    name: str
    source: Path
    hyperparameters: Values
    varied: Values = field(default_factory=dict)

    @property
    def is_resolved(self) -> bool:
        """Whether the values had to be put together, so that the file alone does not say them."""
        return self.name != str(self.source)


@dataclass(frozen=True)
class _Sweep:
    """The content of a file and of those it extends."""

    plain: Values
    grid: dict[str, list[Any]]
    zipped: dict[str, list[Any]]

    def without(self, keys: Sequence[str]) -> "_Sweep":
        """The same with nothing said about these hyperparameters or elements of them."""
        kept = [
            {
                key: value
                for key, value in values.items()
                if not any(_is_within(key, said) for said in keys)
            }
            for values in (self.plain, self.grid, self.zipped)
        ]
        return _Sweep(*kept)

    @property
    def varied(self) -> list[str]:
        """The keys that have several values."""
        return [*self.grid, *self.zipped]

    @property
    def keys(self) -> list[str]:
        """All keys that anything is said about."""
        return [*self.plain, *self.varied]


def is_sweep(values: Mapping[str, Any]) -> bool:
    """Whether a config has one of the keys that make it a sweep."""
    return any(key in values for key in SWEEP_KEYS)


def expand(path: Path, updates: Sequence[str] = ()) -> list[Combination]:
    """The experiments that a config file describes, in order; one where it is no sweep.

    Args:
        path: a JSON file.
        updates: hyperparameters to change in each experiment, as `key=value`.

    Raises:
        ConfigError: if a file cannot be read, the sweep is no proper one, or an update is no
            `key=value` or sets what the sweep varies.
    """
    changes = dict(parse_update(update) for update in updates)
    if not is_sweep(read(path)):
        return [Combination(str(path), path, _changed(read(path), changes))]
    sweep = _resolved(path, ())
    for varied, key in itertools.product(sweep.varied, changes):
        if varied == key:
            raise ConfigError(
                f'{path}: "{key}" is varied; choose some of its values with --only "{key}=VALUE"'
            )
        if _is_within(varied, key):
            raise ConfigError(
                f'{path}: "{varied}" is varied, so "{key}" cannot be set as a whole; set its other '
                f'elements one by one, as "{key}.NAME=VALUE"'
            )
    for outer, inner in itertools.permutations(sweep.varied, 2):
        if _is_within(inner, outer):
            raise ConfigError(f'{path}: "{inner}" is a part of "{outer}", which is varied as well')
    every_varied = [dict(pairs) for pairs in _products(path, sweep)]
    labels = [_label(varied) for varied in every_varied]
    stem = path.stem.replace("=", "-")
    names = [f"{stem}_{label}" if label else stem for label in labels]
    values = [_changed(_changed(sweep.plain, varied), changes) for varied in every_varied]
    return [
        Combination(name, path, own, varied)
        for name, own, varied in zip(
            _told_apart(names), _with_seeds(values), every_varied, strict=True
        )
    ]


def parse_update(update: str) -> tuple[str, Any]:
    """Key and value of a `key=value`, whose value is a Python literal or else text.

    Raises:
        ConfigError: if there is no `=`, or the value is a literal that JSON does not have.
    """
    key, equals, text = update.partition("=")
    if not equals or not key:
        raise ConfigError(f"{update!r} should be KEY=VALUE")
    try:
        value = ast.literal_eval(text)
        json.dumps(value)
    except (ValueError, SyntaxError):
        return key, text
    except (TypeError, RecursionError, MemoryError):
        raise ConfigError(
            f"{reprlib.repr(update)} should be KEY=VALUE, with a VALUE of JSON's types or text"
        ) from None
    return key, value


def shown(value: Any) -> str:
    """A value as names and tables show it: short, and readable."""
    if isinstance(value, Mapping):
        return "-".join(f"{key}-{shown(element)}" for key, element in value.items()) or "none"
    if isinstance(value, list | tuple):
        return "-".join(map(shown, value)) or "none"
    if isinstance(value, str):
        # of an import path the last part says enough
        return value.rpartition(".")[2]
    return json.dumps(value)


def _resolved(path: Path, extended_by: tuple[Path, ...]) -> _Sweep:
    """A file's content on top of that of the files it extends."""
    values = read(path)
    if path.resolve() in extended_by:
        chain = " -> ".join(file.name for file in (*extended_by, path))
        raise ConfigError(f'{path}: "extends" goes round in a circle: {chain}')
    base = values.pop("extends", None)
    own = _Sweep(
        grid=_varied(path, values, "grid"), zipped=_varied(path, values, "zip"), plain=values
    )
    for key in own.keys:
        if own.keys.count(key) > 1:
            raise ConfigError(
                f'{path}: "{key}" should stand only once: beside, in "grid" or in "zip"'
            )
    if base is None:
        return own
    if not isinstance(base, str):
        raise ConfigError(
            f'{path}: "extends" is {json.dumps(base)} but should be the path of a config file'
        )
    below = _resolved(path.parent / base, (*extended_by, path.resolve())).without(own.keys)
    return _Sweep(
        {**below.plain, **own.plain},
        {**below.grid, **own.grid},
        {**below.zipped, **own.zipped},
    )


def _varied(path: Path, values: Values, kind: str) -> dict[str, list[Any]]:
    """Take the grid or the zip out of a file's content."""
    varied = values.pop(kind, {})
    if not isinstance(varied, dict):
        raise ConfigError(
            f'{path}: "{kind}" is {json.dumps(varied)} but should be an object with a list of '
            "values for each hyperparameter"
        )
    for key, choices in varied.items():
        if not isinstance(choices, list) or not choices:
            raise ConfigError(
                f'{path}: "{kind}": "{key}" is {json.dumps(choices)} but should be a list of values'
            )
        # a zip may repeat a value beside another key's different ones
        if kind == "grid" and any(choices.count(choice) > 1 for choice in choices):
            raise ConfigError(f'{path}: "grid": "{key}" has a value twice: {json.dumps(choices)}')
    return varied


def _products(path: Path, sweep: _Sweep) -> Iterable[tuple[tuple[str, Any], ...]]:
    """Keys and values of each combination."""
    lengths = {key: len(choices) for key, choices in sweep.zipped.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f'"{key}" has {length}' for key, length in lengths.items())
        raise ConfigError(f'{path}: "zip" needs lists of one length, but {listed}')
    zipped = list(zip(*sweep.zipped.values(), strict=True)) or [()]
    n_experiments = len(zipped) * math.prod(map(len, sweep.grid.values()))
    if n_experiments > MOST_EXPERIMENTS:
        raise ConfigError(
            f"{path}: the sweep has {n_experiments:,} experiments, more than the "
            f"{MOST_EXPERIMENTS:,} of one command; write several with fewer values"
        )
    for together, *single in itertools.product(zipped, *sweep.grid.values()):
        keys = [*sweep.zipped, *sweep.grid]
        yield tuple(zip(keys, [*together, *single], strict=True))


def _is_within(key: str, other: str) -> bool:
    """Whether a dotted key is another one, or of an element of it."""
    return f"{key}.".startswith(f"{other}.")


def _changed(values: Values, changes: Mapping[str, Any]) -> Values:
    """A copy with some values set, where a dotted key sets an element of an object."""
    changed = dict(values)
    for dotted, value in changes.items():
        key, _, rest = dotted.partition(".")
        if not rest:
            changed[key] = value
        else:
            inner = changed.get(key)
            changed[key] = _changed(inner if isinstance(inner, dict) else {}, {rest: value})
    return changed


def _with_seeds(experiments: Iterable[Values]) -> Iterable[Values]:
    """Give each experiment without a seed one of its own, which its other values decide."""
    taken: set[int] = set()
    for values in experiments:
        if values.get("seed") is not None:
            yield values
            continue
        others = {key: value for key, value in values.items() if key != "seed"}
        text = json.dumps(others, sort_keys=True, default=str)
        digest = hashlib.md5(text.encode(), usedforsecurity=False).digest()
        seed = int.from_bytes(digest[:4], "big")
        while seed in taken:
            seed = (seed + 1) % N_SEEDS
        taken.add(seed)
        yield {**others, "seed": seed}


def _label(varied: Values) -> str:
    """The varied values as a part of a file name, without "=", which Sacred takes for an update."""
    text = "_".join(f"{key.rpartition('.')[2]}-{shown(value)}" for key, value in varied.items())
    return re.sub(r"[^\w.+-]+", "-", text)


def _told_apart(names: Sequence[str]) -> list[str]:
    """File names of bounded length, with a number behind those that would be the same."""
    short = [name[:LONGEST_NAME] for name in names]
    return [
        f"{name}_{number}" if short.count(name) > 1 else name for number, name in enumerate(short)
    ]
