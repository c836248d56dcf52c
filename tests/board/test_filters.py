import re

import pytest

from deep_bottleneck.board.filters import query_of


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("epochs=100", {"epochs": {"$eq": 100}}),
        ("test.accuracy>=0.9", {"test.accuracy": {"$gte": 0.9}}),
        ("activation_fn=relu", {"activation_fn": {"$eq": "relu"}}),
        ("max_norm_weights!=false", {"max_norm_weights": {"$ne": False}}),
        ("dataset~^datasets.mnist", {"dataset": {"$regex": "^datasets.mnist"}}),
    ],
)
def test_a_condition_is_a_query(text, condition):
    assert query_of(text) == {"$and": [condition]}


def test_all_conditions_and_the_status_must_hold():
    assert query_of("a=1  b<2", status="FAILED") == {
        "$and": [{"status": "FAILED"}, {"a": {"$eq": 1}}, {"b": {"$lt": 2}}]
    }
    assert query_of("") == {}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("relu", '"relu" is no condition'),
        ("a=", '"a=" is no condition'),
        ("a~(", '"(" is no regular expression'),
    ],
)
def test_what_is_no_condition_is_named(text, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        query_of(text)
