import json

import pytest

from deep_bottleneck.errors import RecordError
from deep_bottleneck.storage.folder_store import FolderStore
from deep_bottleneck.storage.moving import doctor
from deep_bottleneck.storage.moving.upload import upload


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
        return FolderStore(tmp_path / "runs")

    return store


LOSS = {"steps": [0, 1], "values": [1.0, None], "timestamps": ["2026-03-01T10:20:30"] * 2}


@pytest.fixture
def change(tmp_path):
    """Writes something else into a file of an experiment."""

    def change(id_, name, **content):
        path = tmp_path / "runs" / str(id_) / name
        before = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**before, **content}))

    return change


BROKEN = [
    ("metrics.json", {"loss": {"values": [1.0]}}, "'steps' is missing"),
    ("metrics.json", {"loss": {"steps": [0]}}, "'values' is missing"),
    ("metrics.json", {"loss": {**LOSS, "values": [1.0]}}, "Length of values"),
    ("metrics.json", {"loss": {**LOSS, "values": ["low", 1]}}, "could not convert"),
    ("metrics.json", {"loss": None}, "metrics.json cannot be read"),
    ("run.json", {"start_time": "yesterday"}, "Invalid isoformat string: 'yesterday'"),
    ("run.json", {"heartbeat": 7}, "run.json cannot be read"),
    ("run.json", {"host": "vm"}, "run.json cannot be read"),
    ("run.json", {"artifacts": [[]]}, "the name of an artifact is a list, not a str"),
    ("run.json", {"experiment": "x"}, "experiment is a str, not a Mapping"),
    ("run.json", {"heartbeat": "0001-01-01T00:00:00+09:00"}, "is no time in UTC"),
]


@pytest.mark.parametrize(("name", "content", "sentence"), BROKEN)
def test_what_cannot_be_read_is_left_out_and_named(store, change, name, content, sentence, caplog):
    experiments = store(1, 2)
    change(1, "metrics.json", loss=LOSS)
    change(2, "metrics.json", loss=LOSS)
    change(2, name, **content)

    read = experiments.entries if name == "run.json" else experiments.metrics
    assert list(read([1, 2])) == [1]

    assert "2/" + name in caplog.text
    assert sentence in caplog.text
    assert 1 in experiments.summaries([1, 2], ["loss"])
    assert 1 in experiments.identities().values()


@pytest.mark.parametrize(("name", "content", "sentence"), BROKEN)
def test_the_doctor_finds_what_cannot_be_read(store, change, name, content, sentence):
    experiments = store(1, 2)
    change(2, name, **content)

    (found,) = doctor.examine(experiments, mend=False)

    assert found.where == "experiment 2"
    assert sentence in found.what


@pytest.mark.parametrize(("name", "content", "sentence"), BROKEN)
def test_an_upload_says_what_cannot_be_read(store, change, name, content, sentence):
    experiments = store(2)
    change(2, name, **content)

    (transfer,) = upload(experiments, NoDatabase())

    assert transfer.failed
    assert sentence in transfer.done


def test_times_that_no_database_takes_are_no_reason_to_stop_either(store, change):
    experiments = store(2)
    change(2, "metrics.json", loss={**LOSS, "timestamps": ["yesterday", "today"]})

    (transfer,) = upload(experiments, NoDatabase())

    assert "metrics.json cannot be read: Invalid isoformat string: 'yesterday'" in transfer.done


class NoDatabase:
    def identities(self):
        return {}


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
        patch.setattr(f"deep_bottleneck.storage.folder_store.{cut_short}", is_killed)
        experiments.attach(1, table, "table")
    assert experiments.files(1) == {}

    experiments.attach(1, table, "table")

    assert experiments.entries([1])[1].artifacts == ("table",)
    with experiments.files(1)["table"].open() as file:
        assert file.read() == b"a\n1\n"
    with pytest.raises(RecordError, match="has an artifact table already"):
        experiments.attach(1, table, "table")
