"""What killed processes have left in a folder, and what is damaged, is found."""

import json
import os
import time

import pytest

from deep_bottleneck.storage.__main__ import main
from deep_bottleneck.storage.folder_store import FolderStore
from deep_bottleneck.storage.moving.doctor import examine

RUN = {"status": "COMPLETED", "start_time": "2026-01-01T00:00:00", "artifacts": ["table"]}


@pytest.fixture
def store(tmp_path):
    """A folder with a whole record."""
    folder = tmp_path / "runs" / "1"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(RUN))
    (folder / "config.json").write_text('{"keep_activations": false}')
    (folder / "table.csv").write_text("a\n1\n")
    return FolderStore(tmp_path / "runs")


@pytest.mark.parametrize(
    ("name", "is_found"),
    [
        ("1/.reserve", True),
        ("1/.run.json.ab12.unfinished", True),
        ("1/activations.h5", True),
        (".unfinished_abc", True),
        (".reserve_17", True),
        ("1/notes.txt", False),
        ("figures.png", False),
    ],
)
def test_what_a_process_has_left_is_found_and_deleted(store, name, is_found):
    path = store.folder / name
    path.write_bytes(b"x")
    long_ago = time.time() - 7200
    os.utime(path, (long_ago, long_ago))

    found = [finding.what for finding in examine(store, mend=False)]
    assert found == ([f"{path.name} was left by a process that is gone"] if is_found else [])
    mended = [finding.mended for finding in examine(store, mend=True)]

    assert mended == (["deleted"] if is_found else [])
    assert path.exists() is not is_found
    assert not list(examine(store, mend=False))


def test_what_may_still_be_written_is_left_alone(store):
    (store.folder / ".unfinished_abc").mkdir()
    run = RUN | {"status": "RUNNING", "heartbeat": "2999-01-01T00:00:00"}
    (store.folder / "1" / "run.json").write_text(json.dumps(run))
    (store.folder / "1" / ".reserve").touch()

    assert list(examine(store, mend=True)) == []


def test_a_folder_that_lost_its_record_is_found(store):
    (store.folder / "2").mkdir()

    (found,) = examine(store, mend=True)

    assert (found.where, found.mended) == ("folder 2", "")


@pytest.mark.parametrize("name", ["mistyped", "runs/1/table.csv"])
def test_a_folder_that_is_none_is_not_in_order(store, name, tmp_path, monkeypatch, capsys):
    for variable in ("MONGO_URI", "MONGO_HOST"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("DEEP_BOTTLENECK_RUNS", str(tmp_path / name))

    assert main(["doctor"]) == 1

    assert f"{name} cannot be read" in capsys.readouterr().out
    assert store.folder.is_dir()
