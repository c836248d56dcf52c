"""The table of experiments: filtered, sorted and cut into pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from deep_bottleneck.board.filters import query_of
from deep_bottleneck.board.progress import Progress, progress_of
from deep_bottleneck.eval_tools.configs import SEED, differing_keys, text
from deep_bottleneck.eval_tools.fields import MISSING, Fields
from deep_bottleneck.eval_tools.query import select
from deep_bottleneck.storage.base import ExperimentId, RecordStore

ROWS_OF_A_PAGE = 100
# wider tables are hard to read; what else differs is on the page of a comparison
DIFFERING_COLUMNS = 6
MOST_COLUMNS = 50
FIXED_COLUMNS = ("id", "status", "start_time")
RESULT_COLUMNS = ("result.train", "result.test", "tags")


@dataclass(frozen=True)
class View:
    """What is asked for in the table.

    Attributes:
        filter: as `query_of` takes it.
        status: what the status must be, "" for any.
        sort: the column to sort by.
        descending: whether the largest comes first.
        page: from 1.
        columns: keys of more columns.
    """

    filter: str = ""
    status: str = ""
    sort: str = "id"
    descending: bool = True
    page: int = 1
    columns: Sequence[str] = ()


@dataclass(frozen=True)
class Row:
    """An experiment in the table; `values` are those of the columns, as they are shown."""

    id: ExperimentId
    status: str
    values: Sequence[str]
    progress: Progress | None


@dataclass(frozen=True)
class Table:
    """A page of the table.

    Attributes:
        columns: their keys.
        rows: those of this page.
        n_found: how many the filter has left.
        n_pages: how many pages they take.
        statuses: every status there is.
    """

    columns: Sequence[str]
    rows: Sequence[Row]
    n_found: int
    n_pages: int
    statuses: Sequence[str]


def table(store: RecordStore, view: View) -> Table:
    """The page of the table that is asked for.

    Raises:
        ValueError: if the filter cannot be read, or too many columns are asked for.
    """
    if len(view.columns) > MOST_COLUMNS:
        raise ValueError(f"{len(view.columns)} columns are asked for: {MOST_COLUMNS} at most")
    query = query_of(view.filter, view.status)
    fields = Fields(store)
    entries = fields.entries
    matching = select(query, fields)
    chosen = [id_ for id_ in entries if id_ in matching]
    configs = [fields.configs[id_] for id_ in chosen if id_ in fields.configs]
    differing = [key for key in differing_keys(configs) if key != SEED][:DIFFERING_COLUMNS]
    columns = list(dict.fromkeys([*FIXED_COLUMNS, *differing, *RESULT_COLUMNS, *view.columns]))
    chosen = _sorted(chosen, fields.column(view.sort), view.descending)
    start = (view.page - 1) * ROWS_OF_A_PAGE
    shown = chosen[start : start + ROWS_OF_A_PAGE]
    values = [fields.column(key) for key in columns]
    running = progress_of(store, [entries[id_] for id_ in shown])
    return Table(
        columns,
        [
            Row(
                id_,
                entries[id_].status,
                [shown_as(column.get(id_, MISSING)) for column in values],
                running.get(id_),
            )
            for id_ in shown
        ],
        len(chosen),
        max(1, -(-len(chosen) // ROWS_OF_A_PAGE)),
        sorted({entry.status for entry in entries.values()}),
    )


def shown_as(value: Any) -> str:
    """A value as the page shows it."""
    match value:
        case _ if value is MISSING or value is None:
            return ""
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}"
        case float():
            return f"{value:.4g}"
        case tuple():
            return ", ".join(map(text, value))
    return text(value)


def _sorted(ids: Sequence[ExperimentId], column: Any, descending: bool) -> list[ExperimentId]:
    """Numbers in their order, then other values in that of their text; what is missing is last."""
    present = [id_ for id_ in ids if column.get(id_, MISSING) is not MISSING]
    missing = [id_ for id_ in ids if column.get(id_, MISSING) is MISSING]

    def key(id_: ExperimentId) -> tuple[bool, Any]:
        value = column[id_]
        number = isinstance(value, int | float)
        return not number, value if number else str(value)

    return sorted(present, key=key, reverse=descending) + missing
