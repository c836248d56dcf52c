import pytest

from deep_bottleneck.machine.whole_file import write_whole


@pytest.mark.parametrize("content", ["größer", b"\x80\x00"])
def test_a_file_is_replaced_and_nothing_else_left(tmp_path, content):
    path = tmp_path / "table.json"
    path.write_text("before")

    write_whole(path, content)

    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "table.json"
    path.write_text("before")

    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "\ud800")

    assert path.read_text() == "before"
