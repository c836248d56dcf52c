"""Queries in MongoDB's language, answered here, so that every store gives the same results."""

import operator
import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol, runtime_checkable

from deep_bottleneck.eval_tools.configs import text
from deep_bottleneck.eval_tools.fields import MISSING, Fields
from deep_bottleneck.storage.base import ExperimentId

Matches = Callable[[Any, Any], bool]


@runtime_checkable
class Expression(Protocol):
    """A compiled regular expression, of `re` or of another library."""

    def search(self, text: str, /) -> Any:
        """Something true where it is found in a text."""
        ...


def expression(pattern: str, flags: re.RegexFlag = re.NOFLAG) -> re.Pattern[str]:
    """A regular expression.

    Raises:
        ValueError: if it is none.
    """
    try:
        return re.compile(pattern, flags)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from None


def select(query: Mapping[str, Any], fields: Fields) -> set[ExperimentId]:
    """The experiments that match a query.

    Args:
        query: values or conditions by key, as `{"status": "COMPLETED", "epochs": {"$gt": 10}}`;
            keys as `Fields.column` takes them, and `$and`, `$or`, `$nor` with lists of queries.
        fields: the experiments that are asked.

    Raises:
        ValueError: if the query has an unknown operator, one that takes a list has none, or a
            pattern is no regular expression.
    """
    chosen = set(fields.column("id"))
    for key, condition in query.items():
        if key.startswith("$"):
            chosen &= _combined(key, condition, fields)
        else:
            column = fields.column(key)
            chosen &= {id_ for id_, value in column.items() if _matches(value, condition)}
    return chosen


def _combined(key: str, queries: Any, fields: Fields) -> set[ExperimentId]:
    if key not in ("$and", "$or", "$nor"):
        raise ValueError(f"{key} is no operator between queries; there are $and, $or and $nor")
    if not isinstance(queries, list) or not queries:
        raise ValueError(f"{key} takes a list of queries, not {queries!r}")
    answers = [select(query, fields) for query in queries]
    if key == "$and":
        return set.intersection(*answers)
    any_of_them = set.union(*answers)
    return any_of_them if key == "$or" else set(fields.column("id")) - any_of_them


def _matches(value: Any, condition: Any) -> bool:
    if isinstance(condition, Mapping) and any(str(key).startswith("$") for key in condition):
        pattern_options = condition.get("$options", "")
        return all(
            _operator(name)(value, (argument, pattern_options) if name == "$regex" else argument)
            for name, argument in condition.items()
            if name != "$options"
        )
    return _equal(value, condition)


def _operator(name: str) -> Matches:
    try:
        return _OPERATORS[name]
    except KeyError:
        known = ", ".join(sorted(_OPERATORS))
        raise ValueError(f"{name} is no operator; there are {known}") from None


def _equal(value: Any, wanted: Any) -> bool:
    """As in MongoDB: None matches what is missing, and an element matches its list."""
    if isinstance(wanted, Expression):
        return _found(value, wanted)
    if wanted is None:
        return value is None or value is MISSING
    if isinstance(wanted, datetime):
        return _comparison(operator.eq)(value, wanted)
    if isinstance(wanted, tuple):
        wanted = list(wanted)
    if isinstance(value, list | tuple) and not isinstance(wanted, list):
        return any(_equal(element, wanted) for element in value)
    # True == 1 in Python, but not in JSON
    return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)


def _comparison(compare: Callable[[Any, Any], bool]) -> Matches:
    def matches(value: Any, limit: Any) -> bool:
        if value is MISSING or value is None:
            return False
        if isinstance(limit, datetime) and limit.tzinfo is None:
            limit = limit.replace(tzinfo=UTC)
        try:
            return bool(compare(value, limit))
        except TypeError:
            return False

    return matches


def _found(value: Any, pattern: Expression) -> bool:
    if value is MISSING or value is None:
        return False
    # half of a character, which JSON can hold, is in no other library's text
    searched = text(value).encode("utf-8", "replace").decode()
    return bool(pattern.search(searched))


def _regex(value: Any, argument: tuple[str, str]) -> bool:
    pattern, options = argument
    flags = re.IGNORECASE if "i" in options else re.NOFLAG
    return _found(value, expression(pattern, flags))


def _in(value: Any, allowed: Any) -> bool:
    is_list = isinstance(allowed, Collection) and not isinstance(allowed, str)
    if not is_list:
        raise ValueError(f"$in and $nin take a list of values, not {allowed!r}")
    return any(_equal(value, one) for one in allowed)


_OPERATORS: dict[str, Matches] = {
    "$eq": _equal,
    "$ne": lambda value, other: not _equal(value, other),
    "$gt": _comparison(operator.gt),
    "$gte": _comparison(operator.ge),
    "$lt": _comparison(operator.lt),
    "$lte": _comparison(operator.le),
    "$in": _in,
    "$nin": lambda value, refused: not _in(value, refused),
    "$exists": lambda value, wanted: (value is not MISSING) == bool(wanted),
    "$regex": _regex,
    "$not": lambda value, condition: not _matches(value, condition),
}
