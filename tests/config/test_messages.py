import json
import re
from datetime import date
from typing import Annotated, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from deep_bottleneck.config import Config
from deep_bottleneck.config.messages import checked, mistake
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.launching.cluster.profile import Profile

KEYS = [(model, key) for model in (Config, Profile) for key in model.model_fields]
# what is nearly right for one key or another, so that it goes far before it is found wrong
SINGLE = [None, True, -3, 0, 1.5, 10**400, float("nan"), float("inf"), "", "text", "true", "1e3"]
LISTS = [[], [0], ["a", "a"], ["train", 3], [["a", -1]], [["a", 1, 2]], [["a", [], {}, []]], [{}]]
OBJECTS = [{}, {"classes": [1, 1]}, {"classes": [-1], "label_noise": 3, "flt": 1}, {"path": 3}]
OF_PYTHON = [{1: 2}, [["a", {1: 2}]], [{"path": 3, "x": 1}], "1" * 5000, b"\xff", {1, 2}]
NEARLY_RIGHT = [*SINGLE, *LISTS, *OBJECTS, *OF_PYTHON]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("path"), inner),
    max_leaves=5,
)
OF_PYDANTIC = re.compile(r"Input|[Vv]alidation|permitted|required|something else|\{|literal\[")


def told(model, key, value):
    """What is said about a value; "" if it is right."""
    try:
        checked(model, {key: value}, "mine.json")
    except ConfigError as error:
        return str(error)
    return ""


def assert_says_what_is_wrong_and_what_would_be_right(sentence, key, value):
    start = f'mine.json: "{key}" is {json.dumps(value, default=str)} but '
    assert sentence.startswith(start)
    wanted = sentence.removeprefix(start)
    assert re.search(
        r"\bshould (be|have|name) .|has an unknown option .*(did you|keys are)", wanted
    )
    assert not OF_PYDANTIC.search(wanted.replace('{"name":', ""))


@pytest.mark.parametrize("value", NEARLY_RIGHT, ids=lambda value: repr(value)[:20])
def test_a_sentence_says_what_would_be_right(value):
    found = {key: told(model, key, value) for model, key in KEYS}

    assert any(found.values())
    for key, sentence in found.items():
        if sentence:
            assert_says_what_is_wrong_and_what_would_be_right(sentence, key, value)


@given(st.sampled_from(KEYS), ANYTHING)
def test_a_sentence_says_what_would_be_right_of_anything(key, value):
    model, name = key

    sentence = told(model, name, value)

    if sentence:
        assert_says_what_is_wrong_and_what_would_be_right(sentence, name, value)


@pytest.mark.parametrize("key", ["epcohs", 3, ""])
def test_a_key_that_is_none_is_told_with_those_that_are(key):
    with pytest.raises(ConfigError, match=rf'unknown key "{key}" \(value 5\); (did you mean|the)'):
        checked(Config, {key: 5}, "mine.json")


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (3, float),
        ([1, 2], tuple[int, ...]),
        (None, int | None),
        ("flat", Literal["flat", "steep"]),
        ({"a": 1.5}, dict[str, float]),
        ("anything", np.float32),
    ],
)
def test_values_of_the_type_have_no_mistake(value, annotation):
    assert mistake(value, annotation) == ""


@pytest.mark.parametrize(
    ("value", "annotation", "sentence"),
    [
        (1.5, int, "should be a valid integer"),
        ("3", float, "should be a valid number"),
        (1, bool, "should be a valid boolean"),
        ([1.5, "a"], list[int] | float, "should be a valid integer or a valid number"),
        (5, list[str], "should be a list"),
        (5, dict[str, int], "should be an object"),
        (5, None, "should be null"),
        ([1], Annotated[list[int], Field(min_length=2)], "should have 2 or more items"),
        ("abc", Annotated[str, Field(max_length=2)], "should have 2 or fewer characters"),
        ("someday", date, "should be datetime.date"),
        ("a", int | None, "should be a valid integer"),
        ("round", Literal["flat", "steep"], 'should be "flat" or "steep"'),
        ([1, "b"], tuple[int, ...], "should be a valid integer"),
    ],
)
def test_what_a_value_should_be(value, annotation, sentence):
    assert sentence in mistake(value, annotation)
