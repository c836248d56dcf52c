from typing import Literal

import numpy as np
import pytest

from deep_bottleneck.config.messages import mistake


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
        ("a", int | None, "should be a valid integer"),
        ("round", Literal["flat", "steep"], 'should be "flat" or "steep"'),
        ([1, "b"], tuple[int, ...], "should be a valid integer"),
    ],
)
def test_what_a_value_should_be(value, annotation, sentence):
    assert sentence in mistake(value, annotation)
