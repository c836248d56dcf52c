import re
import time

import pytest

from deep_bottleneck.board.filters import query_of


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("epochs=100", {"epochs": {"$eq": 100}}),
        ("test.accuracy>=0.9", {"test.accuracy": {"$gte": 0.9}}),
        ("activation_fn=relu", {"activation_fn": {"$eq": "relu"}}),
        ("max_norm_weights!=false", {"max_norm_weights": {"$ne": False}}),
    ],
)
def test_a_condition_is_a_query(text, condition):
    assert query_of(text) == {"$and": [condition]}


def test_all_conditions_and_the_status_must_hold():
    assert query_of("a=1  b<2", status="FAILED") == {
        "$and": [{"status": "FAILED"}, {"a": {"$eq": 1}}, {"b": {"$lt": 2}}]
    }
    assert query_of("") == {}


def test_a_regular_expression_is_searched_for():
    ((key, expression),) = query_of("dataset~^datasets.mnist")["$and"][0].items()

    assert key == "dataset"
    assert expression.search("datasets.mnist")
    assert not expression.search("my.datasets.mnist")


@pytest.mark.parametrize("text", ["^(a+)+$", "^(a|a)*$", "(a*)*b", "(?:a?){500}a{500}"])
def test_no_expression_takes_for_ever(text):
    """Each takes a matcher that goes back and forth longer than anybody waits."""
    ((_, expression),) = query_of(f"dataset~{text}")["$and"][0].items()

    start = time.perf_counter()
    expression.search("a" * 60 + "/x")

    assert time.perf_counter() - start < 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a~x(?=y)", '"x(?=y)" is no regular expression: invalid perl operator'),
        (" ".join(["a=1"] * 51), "a filter has 50 conditions at most, not 51"),
        ("relu", '"relu" is no condition'),
        ("a=", '"a=" is no condition'),
        ("a~(", '"(" is no regular expression'),
    ],
)
def test_what_is_no_condition_is_named(text, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        query_of(text)
