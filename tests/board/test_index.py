import shutil

import pytest

from deep_bottleneck.board.index import Index
from deep_bottleneck.errors import RecordError
from deep_bottleneck.storage import folder_store
from deep_bottleneck.storage.folder_store import FolderStore
from deep_bottleneck.storage.own_files import write_json


@pytest.fixture
def folder(tmp_path):
    for number in (1, 2, 10):
        (tmp_path / str(number)).mkdir()
        run = {
            "status": "COMPLETED",
            "experiment": {"name": "x", "sources": [["a.py", "_sources/a.py"]]},
            "artifacts": ["picture"],
        }
        write_json(tmp_path / str(number) / "run.json", run)
        write_json(tmp_path / str(number) / "config.json", {"epochs": number})
    (tmp_path / "_sources").mkdir()
    return tmp_path


@pytest.fixture
def index(folder):
    return Index(folder)


@pytest.fixture
def n_read(monkeypatch):
    """How many files have been read."""
    read, count = folder_store.read_json, [0]

    def counted(path):
        count[0] += 1
        return read(path)

    monkeypatch.setattr(folder_store, "read_json", counted)
    return lambda: count[0]


def test_it_says_what_the_store_says(index, folder):
    store = FolderStore(folder)

    assert index.ids() == store.ids() == [1, 2, 10]
    assert index.configs([1, 10]) == store.configs([1, 10])
    for id_, entry in store.entries(store.ids()).items():
        known = index.entries([id_])[id_]
        assert (known.status, known.name, known.artifacts) == (
            entry.status,
            entry.name,
            entry.artifacts,
        )


def test_a_file_is_read_once_until_it_changes(index, folder, n_read):
    for _ in range(3):
        index.entries([1, 2, 10])
        index.configs([1, 2, 10])
    assert n_read() == 6

    write_json(folder / "2" / "run.json", {"status": "FAILED"})

    assert index.entries([1, 2, 10])[2].status == "FAILED"
    assert n_read() == 7


def test_a_change_of_the_same_length_is_seen(index, folder):
    assert index.config(1) == {"epochs": 1}
    write_json(folder / "1" / "config.json", {"epochs": 7})
    assert index.config(1) == {"epochs": 7}


def test_what_is_deleted_or_damaged_is_not_remembered(index, folder, caplog):
    index.entries([1, 2, 10])
    shutil.rmtree(folder / "10")
    (folder / "2" / "run.json").write_text("{")

    assert index.ids() == [1, 2]
    assert index.entries([1, 2, 10]).keys() == {1}
    assert "run.json cannot be read" in caplog.text


def test_a_folder_that_is_gone_is_one_sentence(index, folder):
    folder.rename(folder.with_name("moved"))

    with pytest.raises(RecordError, match="cannot be read"):
        index.ids()
