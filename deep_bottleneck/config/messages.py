"""Checks what users wrote against types, and says in one sentence what each mistake should be."""

import difflib
import inspect
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import ErrorDetails

from deep_bottleneck.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)

# what a value should do, by pydantic's type of the error and with what the error says besides
_SHOULD = {
    "bool_type": "be a valid boolean",
    "dict_type": "be an object",
    "finite_number": "be a finite number",
    "float_type": "be a valid number",
    "greater_than": "be greater than {gt}",
    "greater_than_equal": "be greater than or equal to {ge}",
    "int_type": "be a valid integer",
    "int_from_float": "be a valid integer",
    "int_parsing": "be a valid integer",
    "int_parsing_size": "be a valid integer of fewer digits",
    "invalid_key": "have text as its keys",
    "less_than": "be less than {lt}",
    "less_than_equal": "be less than or equal to {le}",
    "list_type": "be a list",
    "literal_error": "be {expected}",
    "missing": "be given",
    "none_required": "be null",
    "string_too_long": "have {max_length} or fewer characters",
    "string_too_short": "have {min_length} or more characters",
    "string_type": "be a valid string",
    "string_unicode": "be a valid string",
    "too_long": "have {max_length} or fewer items",
    "too_short": "have {min_length} or more items",
    "tuple_type": "be a list",
}


def named(plug_in: object) -> str:
    """The class of what a plug-in gave, by its import path."""
    return f"{type(plug_in).__module__}.{type(plug_in).__qualname__}"


def said(value: object) -> str:
    """A value that a plug-in gave instead of what it should, by its type."""
    name = type(value).__name__
    article = "an" if name[0] in "aeiouAEIOU" else "a"
    return "nothing (None)" if value is None else f"{article} {name}"


def checked(model: type[Model], values: Mapping[str, Any], source: str) -> Model:
    """The values as a model has them.

    Args:
        model: whose fields are the keys.
        values: the values by key.
        source: where they come from, for error messages.

    Raises:
        ConfigError: one sentence for each key that is wrong, with the key, the value and what would
            be right.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        by_key: dict[Any, list[ErrorDetails]] = {}
        for one in error.errors():
            by_key.setdefault(one["loc"][0], []).append(one)
        sentences = [_sentence(model, key, values.get(key), by_key[key]) for key in by_key]
        raise ConfigError("; ".join(f"{source}: {text}" for text in sentences)) from None


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
        return _should(error.errors(), inspect.formatannotation(annotation))
    return ""


def quoted(names: Iterable[str]) -> str:
    """Names in quotes, one behind the other."""
    return ", ".join(f'"{name}"' for name in names)


def _sentence(model: type[BaseModel], key: Any, value: Any, errors: Sequence[ErrorDetails]) -> str:
    """What is wrong with a key; the alternatives of a union are told together."""
    shown = json.dumps(value, default=str)
    if key not in model.model_fields:
        return f'unknown key "{key}" (value {shown}); {_hint(str(key), model.model_fields)}'
    wanted = []
    by_place: dict[str, list[ErrorDetails]] = {}
    for error in errors:
        place, inner = _place(model, error["loc"])
        if error["type"] == "extra_forbidden" and inner:
            option = str(error["loc"][-1])
            hint = _hint(option, inner.model_fields)
            wanted.append(f'{place}has an unknown option "{option}"; {hint}')
        else:
            by_place.setdefault(place, []).append(error)
    wanted += [place + _should(found) for place, found in by_place.items()]
    return f'"{key}" is {shown} but {" and ".join(wanted)}{_close_choice(model, key, value)}'


def _place(
    model: type[BaseModel], location: Sequence[int | str]
) -> tuple[str, type[BaseModel] | None]:
    """Where within a key a location is, in words, and the model that the value there has."""
    inner: type[BaseModel] | None = model
    words = []
    for part in location:
        if isinstance(part, int):
            words.append(f"element [{part}]")
        elif part == "[key]":
            words[-1] = "each key"
        elif inner and part in inner.model_fields:
            words.append(f'"{part}"')
            inner = _model_within(inner.model_fields[part].annotation)
    place = " of ".join(reversed(words[1:]))
    return f"{place} " if place else "", inner


def _model_within(annotation: Any) -> type[BaseModel] | None:
    """The model that a type is, or that its elements are."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_within, get_args(annotation))), None)


def _should(errors: Sequence[ErrorDetails], otherwise: str = "something else") -> str:
    """What a value should be, out of the errors of all alternatives for it.

    Args:
        errors: what pydantic says; a sentence of our own among it says enough.
        otherwise: what it should be, where an error is of a type that no words are known for.
    """
    own = [str(error["ctx"]["error"]) for error in errors if error["type"] == "value_error"]
    if own:
        return " or ".join(dict.fromkeys(own))
    phrases = dict.fromkeys(_phrase(error) or f"be {otherwise}" for error in errors)
    return f"should {' or '.join(phrases)}".replace(" or be ", " or ")


def _phrase(error: ErrorDetails) -> str:
    """What a value should do, "" where no words are known for the type of the error."""
    context = {
        name: f"{value:g}" if isinstance(value, float) else str(value).replace("'", '"')
        for name, value in error.get("ctx", {}).items()
    }
    return _SHOULD.get(error["type"], "").format(**context)


def _hint(name: str, known: Iterable[str]) -> str:
    keys = list(known)
    # such as lr for learning_rate
    short = [key for key in keys if "".join(word[0] for word in key.split("_")) == name]
    close = short or difflib.get_close_matches(name.lower(), keys, n=1)
    return f'did you mean "{close[0]}"?' if close else f"the keys are {', '.join(keys)}"


def _close_choice(model: type[BaseModel], key: str, value: Any) -> str:
    choices = get_args(model.model_fields[key].annotation)
    names = [choice for choice in choices if isinstance(choice, str)]
    close = difflib.get_close_matches(value.lower(), names, n=1) if isinstance(value, str) else []
    return f'; did you mean "{close[0]}"?' if close else ""
