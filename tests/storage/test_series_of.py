"""What of a stored metric is read, and what is no metric."""

import pytest

from deep_bottleneck.storage.base import series_of
from deep_bottleneck.storage.mongo_metrics import joined

LOSS = {"name": "loss", "steps": [0, 2], "values": [1.0, 0.5], "timestamps": [None, None]}


def test_values_stand_at_their_steps():
    assert series_of("loss", LOSS).to_dict() == {0: 1.0, 2: 0.5}


@pytest.mark.parametrize("values", [0.5, "12", {"0": 1.0, "2": 0.5}, {"": None}, None])
@pytest.mark.parametrize("part", ["steps", "values"])
def test_what_is_no_list_is_not_read_as_numbers(part, values):
    broken = {**LOSS, part: values}

    with pytest.raises(TypeError, match=f"the {part} of loss are no list"):
        series_of("loss", broken)
    with pytest.raises(TypeError, match=f"the {part} of loss are no list"):
        joined([broken])


def test_a_value_is_missing():
    with pytest.raises(ValueError, match=r"[Ll]ength"):
        series_of("loss", {**LOSS, "values": [1.0]})
