import json

import pytest

from deep_bottleneck.errors import RecordError
from deep_bottleneck.records.local import LocalStore


@pytest.fixture
def store(tmp_path):
    """Stores a completed experiment of no metrics under each of these ids."""

    def store(*ids):
        for id_ in ids:
            folder = tmp_path / "runs" / str(id_)
            folder.mkdir(parents=True)
            run = {"status": "COMPLETED", "start_time": "2026-03-01T10:20:30", "artifacts": []}
            (folder / "run.json").write_text(json.dumps(run))
            (folder / "config.json").write_text("{}")
        return LocalStore(tmp_path / "runs")

    return store


@pytest.mark.parametrize("cut_short", ["shutil.copyfile", "write_json", "Path.replace"])
def test_an_artifact_that_was_not_attached_whole_can_be_attached_again(
    store, tmp_path, monkeypatch, cut_short
):
    table = tmp_path / "table.csv"
    table.write_text("a\n1\n")
    experiments = store(1)

    def is_killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(f"deep_bottleneck.records.local.{cut_short}", is_killed)
        experiments.attach(1, table, "table")
    assert experiments.files(1) == {}

    experiments.attach(1, table, "table")

    assert experiments.entries([1])[1].artifacts == ("table",)
    with experiments.files(1)["table"].open() as file:
        assert file.read() == b"a\n1\n"
    with pytest.raises(RecordError, match="has an artifact table already"):
        experiments.attach(1, table, "table")
