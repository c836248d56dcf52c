"""The filter that is typed above the table, as a query of the evaluation tools."""

import json
import re
from typing import Any

import re2

MOST_CONDITIONS = 50
_TERM = re.compile(r"(?P<key>[\w.]+)(?P<operator><=|>=|!=|=|<|>|~)(?P<value>.+)", re.DOTALL)
_OPERATORS = {"=": "$eq", "!=": "$ne", "<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}


def query_of(text: str, status: str = "") -> dict[str, Any]:
    """The query that a filter stands for.

    Args:
        text: conditions with blanks between them, of which all must hold: `epochs>=100`,
            `activation_fn=relu`, `test.accuracy>0.9`, `tags=good`, or `dataset~mnist` with a
            regular expression in the syntax of RE2, which has no look-around and no references
            to what was found before.
        status: what the status must be, "" for any.

    Raises:
        ValueError: if a condition is none of these, or there are too many.
    """
    conditions: list[dict[str, Any]] = [{"status": status}] if status else []
    terms = text.split()
    if len(terms) > MOST_CONDITIONS:
        raise ValueError(f"a filter has {MOST_CONDITIONS} conditions at most, not {len(terms)}")
    conditions += [_condition(term) for term in terms]
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
        return {key: _expression(value)}
    return {key: {_OPERATORS[operator]: _value(value)}}


def _expression(text: str) -> Any:
    """A regular expression that is searched for in a time that grows with the text alone.

    One of `re` goes back and forth, and `^(a+)+$` would keep the board from all others for hours.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error as error:
        (reason,) = error.args
        raise ValueError(f'"{text}" is no regular expression: {reason.decode()}') from None


def _value(text: str) -> Any:
    """A value as JSON has it, or else the text itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
