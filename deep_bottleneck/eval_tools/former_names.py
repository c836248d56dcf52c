"""What artifacts and metrics were called in earlier years, and are found by in what is stored now.

It works in both directions, since records of those years are read as well.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Generic, TypeVar, get_args

from deep_bottleneck.interfaces import Part
from deep_bottleneck.storage.names import SUFFIXES_OF_THE_ORIGINAL

Value = TypeVar("Value")
Alike = Callable[[str], Collection[str]]

_PARTS = get_args(Part)
_ONCE_FOR_EACH_PART = ("snr",)
_METRICS = {"validation.loss": "test.loss", "validation.accuracy": "test.accuracy"}
_METRICS_BEFORE = {now: before for before, now in _METRICS.items()}


class Named(dict[str, Value], Generic[Value]):
    """Values by name, of which each is found by the names of earlier years as well."""

    def __init__(self, values: Mapping[str, Value], alike: Alike) -> None:
        super().__init__(values)
        self._alike = alike

    def __missing__(self, name: str) -> Value:
        found = present(name, self, self._alike)
        if len(found) == 1:
            return self[found[0]]
        if found:
            raise KeyError(f"{name} may mean {' or '.join(found)}")
        raise KeyError(f"there is no {name}; there are {', '.join(self) or 'none at all'}")


def present(name: str, there: Collection[str], alike: Alike) -> list[str]:
    """Which names are there for what is asked for: the name itself, or others that mean the same.

    Args:
        name: what is asked for.
        there: the names that there are.
        alike: gives the other names.
    """
    return [name] if name in there else [other for other in alike(name) if other in there]


def of_artifacts(name: str) -> list[str]:
    """Other names of an artifact: with the part of the data or without it, and with the suffix."""
    before, _, part = name.rpartition("_")
    stem = before if part in _PARTS else name
    if stem not in SUFFIXES_OF_THE_ORIGINAL:
        return []
    names = [name] if part in _PARTS else [f"{name}_{part}" for part in _PARTS]
    with_suffix = [f"{one}{SUFFIXES_OF_THE_ORIGINAL[stem]}" for one in names]
    return [*names, *with_suffix, *([stem] if stem in _ONCE_FOR_EACH_PART else ())]


def of_metrics(name: str) -> list[str]:
    """Other names of a metric."""
    return [names[name] for names in (_METRICS, _METRICS_BEFORE) if name in names]
