import os

import pytest

from deep_bottleneck.errors import RecordError
from deep_bottleneck.storage.base import as_id, sort_key
from deep_bottleneck.storage.folder_store import FolderStore, artifact_file_name
from deep_bottleneck.storage.own_files import flaw, is_there, open_own, read_json, read_own


@pytest.fixture
def folder(tmp_path):
    """A folder with one file, and one of everything else."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_bytes(b"content")
    (folder / "link").symlink_to("file")
    (folder / "to nowhere").symlink_to("nowhere")
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    (tmp_path / "linked").symlink_to(folder)
    return folder


def test_a_file_is_read(folder):
    assert flaw(folder / "file") is None
    assert read_own(folder / "file") == b"content"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("link", "it is a link"),
        ("to nowhere", "it is a link"),
        ("folder", "it is no file"),
        ("pipe", "it is no file"),
        ("../linked/file", "it is a link"),
    ],
)
def test_nothing_else_is(folder, name, reason):
    assert is_there(folder / name)
    assert flaw(folder / name).startswith(reason)
    with pytest.raises(RecordError, match=f"{name} cannot be read: {reason}"):
        open_own(folder / name)


def test_what_is_not_there_is_said(folder):
    assert not is_there(folder / "absent")
    assert not is_there(folder / "file" / "below")
    with pytest.raises(RecordError, match="absent cannot be read: No such file"):
        open_own(folder / "absent")


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "[1]", "1e", '{"a": 1', "\xff", '{"n": ' + "9" * 5000 + "}"]
)
def test_what_is_no_object_is_said(folder, text):
    (folder / "file").write_text(text, "latin-1")

    with pytest.raises(RecordError, match="file cannot be read"):
        read_json(folder / "file")


@pytest.mark.parametrize(
    "id_",
    ["", ".", "..", "../up", "/etc", "_sources", ".hidden", "a\\b", "a\0b", "a\nb", "x" * 300],
)
def test_ids_that_lead_elsewhere_are_no_folders(tmp_path, id_):
    with pytest.raises(RecordError, match="cannot be the folder of an experiment"):
        FolderStore(tmp_path).folder_of(id_)


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("run", ".json"),
        ("config.json", ""),
        ("checkpoint", ".h5"),
        ("Checkpoint_2", ".h5"),
        ("activations", ".h5"),
        (".metrics_summary", ".json"),
        ("", ""),
        ("..", ""),
        ("a/b", ".csv"),
        ("table", "/../../x"),
        ("a\0b", ".csv"),
        ("x" * 300, ".csv"),
    ],
)
def test_names_that_a_record_needs_itself_are_no_artifacts(name, suffix):
    with pytest.raises(RecordError, match="cannot be the name of an artifact"):
        artifact_file_name(name, suffix)


def test_numbers_are_ids_only_as_they_are_written():
    assert [as_id(text) for text in ("7", "007", "-1", "٣", "9" * 5000)] == [
        7,
        "007",
        "-1",
        "٣",
        "9" * 5000,
    ]
    assert sorted(["b", 10, "a", 9], key=sort_key) == [9, 10, "a", "b"]
