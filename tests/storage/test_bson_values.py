import bson
import pytest

from deep_bottleneck.storage.bson_values import LARGEST, OUTPUT_ENDS, shortened, storable

LARGE = "x" * (LARGEST // 2)


def nested(depth):
    value = {}
    for _ in range(depth):
        value = {"in": value}
    return value


@pytest.mark.parametrize(
    ("given", "stored", "changed"),
    [
        ({"x": 2**63 - 1, "y": None}, {"x": 2**63 - 1, "y": None}, []),
        ({"x": 2**70}, {"x": str(2**70)}, ["x"]),
        ({"a": {"b": [1, -(2**70)]}}, {"a": {"b": [1, str(-(2**70))]}}, ["a.b.1"]),
        ({"a": {"b\0c": 1}}, {"a": {r"b\0c": 1}}, [r"a.b\0c"]),
        ({"x": "\ud800 é"}, {"x": r"\ud800 é"}, ["x"]),
        ({1: True}, {"1": True}, ["1"]),
        (
            {"small": 1, "large": LARGE, "larger": LARGE + "x"},
            {"small": 1, "large": LARGE},
            ["larger"],
        ),
    ],
)
def test_what_a_document_cannot_hold_is_changed_and_named(given, stored, changed):
    found = storable(given)

    assert found.values == stored
    assert list(found.changed) == changed
    bson.encode(found.values)


def test_what_is_nested_too_deep_ends_there():
    found = storable({"x": nested(200)})

    assert len(found.changed) == 1
    bson.encode(found.values)


def test_a_long_output_keeps_its_ends():
    output = "a" * OUTPUT_ENDS + "left out" + "b" * OUTPUT_ENDS

    short = shortened(output)

    assert short.startswith("aaa")
    assert short.endswith("bbb")
    assert "[... 8 characters are left out here" in short
    assert shortened(short[: 2 * OUTPUT_ENDS]) == short[: 2 * OUTPUT_ENDS]
