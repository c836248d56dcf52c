"""Which layers of a network to attach to: by type or by name, with a hint where one is misspelt."""

import difflib
import enum
from collections.abc import Iterable, Mapping

LayerSelection = str | type | Iterable[str | type]


class Method(enum.Enum):
    """Where to capture: what goes into a layer, what comes out, or both."""

    BEFORE = "before"
    AFTER = "after"
    BOTH = "both"

    @classmethod
    def parse(cls, method: str) -> "Method":
        """The method of that name.

        Raises:
            ValueError: if there is none.
        """
        try:
            return cls(method)
        except ValueError:
            allowed = [each.value for each in cls]
            raise ValueError(f"method must be one of {allowed}, got {method!r}") from None

    @property
    def before(self) -> bool:
        """Whether to capture what goes into a layer."""
        return self is not Method.AFTER

    @property
    def after(self) -> bool:
        """Whether to capture what comes out of a layer."""
        return self is not Method.BEFORE


class LayerMatcher:
    """Picks layers by the name of the layer, the name of its type, or its type.

    Args:
        attach_to: types or names of layers, or one of them.
        exclude: types or names to leave out of these.

    Raises:
        ValueError: if `attach_to` is empty.
        TypeError: if an entry is neither a string nor a type.
    """

    def __init__(self, attach_to: LayerSelection, exclude: LayerSelection = ()) -> None:
        self._attach_to = _entries("attach_to", attach_to)
        self._exclude = _entries("exclude", exclude)
        if not self._attach_to:
            raise ValueError("attach_to names no layer: give types or names of layers")

    def picks(self, name: str, kind: type) -> bool:
        """Whether a layer of that name and type is one to attach to."""
        return any(matches(entry, name, kind) for entry in self._attach_to) and not any(
            matches(entry, name, kind) for entry in self._exclude
        )

    def select(self, layers: Mapping[str, type]) -> list[str]:
        """The names of the layers that match, in the order of the network.

        Args:
            layers: the type of each layer by name.

        Raises:
            ValueError: if an entry matches no layer, or all matching layers are excluded.
        """
        for argument, entries in (("attach_to", self._attach_to), ("exclude", self._exclude)):
            for entry in entries:
                if not any(matches(entry, name, kind) for name, kind in layers.items()):
                    raise ValueError(unknown_layer(argument, entry, layers))
        selected = [name for name, kind in layers.items() if self.picks(name, kind)]
        if not selected:
            raise ValueError("exclude leaves none of the layers in attach_to")
        return selected


def _entries(argument: str, selection: LayerSelection) -> list[str | type]:
    entries = [selection] if isinstance(selection, str | type) else list(selection)
    for entry in entries:
        if not isinstance(entry, str | type):
            raise TypeError(
                f"{argument} takes types or names of layers, got {entry!r} of type "
                f"{type(entry).__name__}"
            )
    return entries


def matches(entry: str | type, name: str, kind: type) -> bool:
    """Whether an entry is the name of a layer, the name of its type, or its type."""
    if isinstance(entry, str):
        return entry in (name, kind.__name__)
    return issubclass(kind, entry)


def unknown_layer(argument: str, entry: str | type, layers: Mapping[str, type]) -> str:
    """The sentence for an entry that no layer matches, with those that are like it."""
    wanted = entry if isinstance(entry, str) else entry.__name__
    types = sorted({kind.__name__ for kind in layers.values()})
    by_lower_case = {known.lower(): known for known in [*layers, *types]}
    close = difflib.get_close_matches(wanted.lower(), by_lower_case)
    hint = (
        "did you mean " + " or ".join(repr(by_lower_case[match]) for match in close) + "?"
        if close
        else f"its layers are of the types {', '.join(types)}"
    )
    return f"{argument} names {wanted!r}, but the network has no layer of that name or type; {hint}"
