"""What Sacred stores of an experiment, and whether it is what it should be."""

from collections.abc import Mapping
from typing import Any

# what people add to an experiment, where omniboard keeps it too
NOTES = "omniboard"
TAGS = "tags"
# what is what in that which Sacred stores of an experiment, where it is there at all
_KINDS: Mapping[str, type] = {
    "status": str,
    "config": Mapping,
    "info": Mapping,
    "captured_out": str,
    "artifacts": list,
    "missing": list,
    "host": Mapping,
    "host.process": str,
    "experiment": Mapping,
    "experiment.name": str,
    "experiment.base_dir": str,
    "experiment.sources": list,
    "experiment.repositories": list,
    NOTES: Mapping,
    f"{NOTES}.{TAGS}": list,
}


def check_kinds(run: Mapping[str, Any]) -> None:
    """Make sure that what Sacred stores of an experiment is of the kinds that it should be.

    Args:
        run: what is in `run.json`, or in the collection "runs".

    Raises:
        AttributeError, TypeError, ValueError: if it is not.
    """
    for path, kind in _KINDS.items():
        *parents, key = path.split(".")
        holder = run
        for parent in parents:
            holder = holder.get(parent) or {}
        if holder.get(key) is not None:
            must_be(kind, holder[key], path)
    experiment, notes = run.get("experiment") or {}, run.get(NOTES) or {}
    for name, _ in experiment.get("sources") or ():
        must_be(str, name, "the name of a source")
    for repository in experiment.get("repositories") or ():
        must_be(Mapping, repository, "a repository")
    for tag in notes.get(TAGS) or ():
        must_be(str, tag, "a tag")


def must_be(kind: type, value: object, what: str) -> None:
    """Make sure of the kind of a value.

    Raises:
        TypeError: if it is of another.
    """
    if not isinstance(value, kind):
        raise TypeError(f"{what} is a {type(value).__name__}, not a {kind.__name__}")
