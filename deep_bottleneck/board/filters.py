"""The filter that is typed above the table, as a query of the evaluation tools."""

import json
import re
from typing import Any

_TERM = re.compile(r"(?P<key>[\w.]+)(?P<operator><=|>=|!=|=|<|>|~)(?P<value>.+)", re.DOTALL)
_OPERATORS = {"=": "$eq", "!=": "$ne", "<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}


def query_of(text: str, status: str = "") -> dict[str, Any]:
    """The query that a filter stands for.

    Args:
        text: conditions with blanks between them, of which all must hold: `epochs>=100`,
            `activation_fn=relu`, `test.accuracy>0.9`, `tags=good`, or `dataset~mnist` with a
            regular expression.
        status: what the status must be, "" for any.

    Raises:
        ValueError: if a condition is none of these.
    """
    conditions: list[dict[str, Any]] = [{"status": status}] if status else []
    conditions += [_condition(term) for term in text.split()]
    return {"$and": conditions} if conditions else {}


def _condition(term: str) -> dict[str, Any]:
    match = _TERM.fullmatch(term)
    if match is None:
        raise ValueError(
            f'"{term}" is no condition: write a key, one of = != < <= > >= ~, and a value without '
            "blanks, such as epochs>=100"
        )
    key, operator, value = match.groups()
    if operator == "~":
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f'"{value}" is no regular expression: {error}') from None
        return {key: {"$regex": value}}
    return {key: {_OPERATORS[operator]: _value(value)}}


def _value(text: str) -> Any:
    """A value as JSON has it, or else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text
