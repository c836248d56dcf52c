import pytest

from deep_bottleneck.errors import RecordError
from deep_bottleneck.measuring.tables import read_information, read_table

NAME = "information_measures_binning_0.07_test"
WHOLE = "run,epoch,layer,MI_XM,MI_YM\n0,0,0,1.5,0.5\n0,0,1,1.25,0.5\n"


def test_a_whole_table_says_what_it_is_of():
    table = read_information(NAME, WHOLE.encode())

    assert table["MI_XM"].tolist() == [1.5, 1.25]
    assert set(table["module"]) == {"binning"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "No columns to parse"),
        ("\0\1\2", "it is cut short"),
        ("a,b\n1,2,3\n1,2,3,4\n", "Expected 3 fields in line 3, saw 4"),
        (WHOLE[:-2], "it is cut short"),
        (WHOLE.replace("MI_YM", "MI_Ym"), "it has no numbers MI_YM"),
        (WHOLE.replace("1.25", "1,25"), "cannot be read"),
        (WHOLE.replace("1.25", "much"), "it has no numbers MI_XM"),
    ],
)
def test_what_is_no_such_table_is_said(content, reason):
    with pytest.raises(RecordError, match=f"{NAME} cannot be read") as refused:
        read_information(NAME, content.encode())
    assert reason in str(refused.value)


def test_bytes_that_are_no_text_are_no_table():
    with pytest.raises(RecordError, match="cannot be read as a table"):
        read_table(b"\xff\xfe\x00,\n")
