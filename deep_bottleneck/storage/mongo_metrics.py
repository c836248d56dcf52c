"""Metrics in MongoDB: those of very many steps in pieces, as a document has 16 MiB at most.

The first piece is a document as Sacred writes it. The others have a number besides.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from deep_bottleneck.storage.base import ExperimentId, require_list

# a value takes some 50 bytes, with its step, its time and where it stands
LONGEST = 100_000
PIECE = "piece"
PARTS = ("steps", "values", "timestamps")


def pieces(
    metric: Mapping[str, Any], n_before: int = 0
) -> Iterator[tuple[int, dict[str, list[Any]]]]:
    """Steps, values and timestamps of a metric, cut into what goes into each of its documents.

    Args:
        metric: has the three, of equal length.
        n_before: how many values of the metric are stored already.

    Yields:
        The number of a piece, and what goes into it.
    """
    start, n = 0, len(metric["values"])
    while start < n:
        number, inside = divmod(n_before + start, LONGEST)
        stop = start + LONGEST - inside
        yield number, {part: list(metric[part][start:stop]) for part in PARTS}
        start = stop


def query_of(experiment_id: ExperimentId, name: str, piece: int) -> dict[str, Any]:
    """What finds a piece of a metric."""
    number = piece or {"$exists": False}
    return {"run_id": experiment_id, "name": name, PIECE: number}


def joined(found: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, list[Any]]]:
    """The metrics of an experiment by name, each as if it had never been cut.

    Args:
        found: its documents, with all or some of steps, values and timestamps.

    Raises:
        KeyError, TypeError: if one is not as it should be.
    """
    metrics: dict[str, dict[str, list[Any]]] = {}
    for document in sorted(found, key=lambda piece: piece.get(PIECE) or 0):
        whole = metrics.setdefault(document["name"], {})
        for part in PARTS:
            if part in document:
                require_list(document["name"], part, document[part])
                whole.setdefault(part, []).extend(document[part])
    return metrics
