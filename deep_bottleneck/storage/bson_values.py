"""Values as a document of MongoDB holds them, and what had to be changed for that."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import bson

# a document has 16 MiB at most, of which requests and names take some
LARGEST = 15 * 2**20
# so many characters of a long output from its begin, and as many from its end
OUTPUT_ENDS = 2**20
_DEEPEST = 90
_INTEGERS = range(-(2**63), 2**63)


class Storable(NamedTuple):
    """Values that a document can hold.

    Attributes:
        values: by name, those that had to be changed as text.
        changed: by name, such as "info.x", why a value was changed or left out.
    """

    values: dict[str, Any]
    changed: dict[str, str]


def storable(values: Mapping[str, Any]) -> Storable:
    """Values by name, such that a document can hold them all.

    What BSON has no form for becomes text; of what is too large together the largest is left out.
    """
    changed: dict[str, str] = {}
    found: dict[str, Any] = _storable(values, (), changed)
    sizes = {name: len(bson.encode({name: value})) for name, value in found.items()}
    while sum(sizes.values()) > LARGEST:
        largest = max(sizes, key=lambda name: sizes[name])
        size = sizes.pop(largest) / 2**20
        changed[largest] = f"{size:.1f} MiB are more than a document of MongoDB holds"
        del found[largest]
    return Storable(found, changed)


def shortened(output: str) -> str:
    """An output of which the middle is left out if it is long."""
    left_out = len(output) - 2 * OUTPUT_ENDS
    if left_out <= 0:
        return output
    said = f"\n[... {left_out} characters are left out here, and are in a file beside ...]\n"
    return output[:OUTPUT_ENDS] + said + output[-OUTPUT_ENDS:]


def _storable(value: Any, where: tuple[str, ...], changed: dict[str, str]) -> Any:
    def said(reason: str) -> None:
        changed[".".join(where)] = reason

    if len(where) > _DEEPEST:
        said("it is nested too deep")
        return None
    match value:
        case str():
            text = _text(value)
            if text != value:
                said("its text is no Unicode")
            return text
        case int() if value not in _INTEGERS:
            said("it is an integer beyond 64 bits, stored as text")
            return str(value)
        case Mapping():
            return {
                _key(key, where, changed): _storable(one, (*where, str(key)), changed)
                for key, one in value.items()
            }
        case list() | tuple():
            return _elements(value, where, changed)
    return value


def _elements(values: Sequence[Any], where: tuple[str, ...], changed: dict[str, str]) -> list[Any]:
    return [_storable(one, (*where, str(index)), changed) for index, one in enumerate(values)]


def _key(key: Any, where: tuple[str, ...], changed: dict[str, str]) -> str:
    text = _text(str(key)).replace("\0", r"\0")
    if text != key:
        changed[".".join((*where, text))] = "its name is one that no document can have"
    return text


def _text(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
