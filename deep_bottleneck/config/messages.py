"""Checks single values against types, and says in plain words what they should be."""

import json
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError


def mistake(value: Any, annotation: Any) -> str:
    """What a value of JSON's types should be to have a type, "" if it has it.

    A type that cannot be checked, such as a class of one's own, has nothing against any value.
    """
    try:
        adapter = TypeAdapter(annotation)
    except PydanticUserError:
        return ""
    try:
        adapter.validate_json(json.dumps(value, default=str), strict=True)
    except ValidationError as error:
        return " or ".join(dict.fromkeys(should(one["msg"]) for one in error.errors()))
    return ""


def should(message: str) -> str:
    """The part of a message of pydantic that says what a value should be."""
    message = message.replace("'", '"')
    return "should" + message.partition("should")[2] if "should" in message else message
