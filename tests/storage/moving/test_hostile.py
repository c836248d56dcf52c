"""Records that somebody else has made move without harm to anybody, and stop no other."""

import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path

import gridfs
import pymongo
import pytest
from bson import ObjectId

from deep_bottleneck.eval_tools import ExperimentLoader
from deep_bottleneck.storage import bson_values, mongo_metrics
from deep_bottleneck.storage.folder_store import FolderStore
from deep_bottleneck.storage.mongo import MongoSettings
from deep_bottleneck.storage.mongo_store import MongoStore
from deep_bottleneck.storage.moving.doctor import examine
from deep_bottleneck.storage.moving.download import download
from deep_bottleneck.storage.moving.upload import upload

NAME = "hostile"
PRIVATE = "private words"
TIME = datetime(2026, 1, 1)
RUN = {"status": "COMPLETED", "start_time": "2026-01-01T00:00:00", "artifacts": ["table"]}
LOSS = {"steps": [0, 1], "values": [1.0, 0.5], "timestamps": ["2026-01-01T00:00:00"] * 2}


@pytest.fixture
def store(mongo_uri):
    """An empty database."""
    yield MongoStore(MongoSettings(mongo_uri, NAME))
    with pymongo.MongoClient(mongo_uri) as client:
        client.drop_database(NAME)


@pytest.fixture
def insert(store):
    """Stores an experiment in the database as anybody could."""

    def insert(id_, **values):
        run = {"status": "COMPLETED", "start_time": TIME, "identity": f"i {id_}", "config": {}}
        store.database.runs.insert_one({**run, **values, "_id": id_})

    return insert


@pytest.fixture
def folder(tmp_path):
    """Where experiments are written to, far from the root of everything."""
    folder = tmp_path / "a" / "b" / "runs"
    folder.mkdir(parents=True)
    return FolderStore(folder)


@pytest.fixture
def record(tmp_path):
    """A record, and a second one beside it; values are changes of the first."""

    def record(**files):
        runs = tmp_path / "runs"
        for id_ in (1, 2):
            contents = {
                "run.json": RUN | {"experiment": {"name": str(id_)}},
                "config.json": {},
                "metrics.json": {"loss": LOSS},
                **({name.replace("_", "."): f for name, f in files.items()} if id_ == 1 else {}),
            }
            (runs / str(id_)).mkdir(parents=True)
            (runs / str(id_) / "table.csv").write_text("a\n1\n")
            for name, content in contents.items():
                text = content if isinstance(content, str) else json.dumps(content)
                (runs / str(id_) / name).write_text(text)
        return FolderStore(runs)

    return record


@pytest.mark.parametrize("id_", ["../escaped", "/absolute", "", ".", "_sources", "a\nb"])
def test_whatever_its_id_a_record_becomes_a_folder_of_the_folder(store, insert, folder, id_):
    insert(id_)
    insert(7)

    transfers = list(download(store, folder))

    assert {transfer.there for transfer in transfers} == {1, 7}
    assert {path.name for path in folder.folder.iterdir()} == {"1", "7"}
    assert {path.name for path in folder.folder.parent.iterdir()} == {"runs"}


def test_an_id_that_is_none_is_named(store, insert, folder):
    insert({"a": 3})
    insert(7)

    refused, moved = download(store, folder)

    assert (refused.id, refused.failed) == ("{'a': 3}", True)
    assert moved.done == "new"
    assert [found.where for found in examine(store, mend=False)] == ["experiment {'a': 3}"]


@pytest.mark.parametrize(
    "name", ["checkpoint.h5", ".metrics_summary.json", "run.json", "../out", ""]
)
def test_no_artifact_takes_the_place_of_what_a_record_has_itself(store, insert, folder, name):
    file_id = store.fs.put(b"planted", filename=name, metadata={"suffix": ""})
    table = store.fs.put(b"a\n1\n", filename="table", metadata={"suffix": ".csv"})
    artifacts = [{"name": name, "file_id": file_id}, {"name": "table", "file_id": table}]
    insert(1, artifacts=artifacts)

    (moved,) = download(store, folder)

    assert moved.failed
    assert "cannot be the name of an artifact" in moved.done
    assert folder.entry(1).artifacts == ("table",)
    written = [path.read_bytes() for path in folder.folder.rglob("*") if path.is_file()]
    assert b"planted" not in written


def test_two_artifacts_of_one_file_name_do_not_overwrite(store, insert, folder):
    files = [store.fs.put(c, metadata={"suffix": s}) for c, s in ((b"1", ".csv"), (b"2", ""))]
    names = ("table", "table.csv")
    insert(1, artifacts=[{"name": n, "file_id": f} for n, f in zip(names, files, strict=True)])

    (moved,) = download(store, folder)

    assert moved.done == "new, without table.csv (table.csv is the file of another artifact)"
    assert (folder.folder / "1" / "table.csv").read_bytes() == b"1"


@pytest.mark.parametrize(
    "values",
    [
        {"experiment": "x"},
        {"artifacts": "abc"},
        {"captured_out": 5},
        {"config": [1]},
        {"start_time": "soon"},
        {"artifacts": [{"name": "a"}]},
        {"experiment": {"sources": ["a.py"]}},
    ],
)
def test_a_document_that_is_none_is_named_and_the_others_are_written(store, insert, folder, values):
    insert(3, **values)
    insert(7)

    transfers = {transfer.id: transfer for transfer in download(store, folder)}

    assert transfers[7].done == "new"
    assert transfers[3].failed
    assert "experiment 3 in MongoStore" in transfers[3].done
    assert [found.where for found in examine(store, mend=False)][:1] == ["experiment 3"]


@pytest.mark.parametrize("chunk_size", ["many", 0, None])
def test_a_file_of_which_nonsense_is_written_is_named(store, insert, folder, chunk_size):
    file = {"_id": ObjectId(), "filename": "b", "length": 5, "chunkSize": chunk_size}
    store.database["fs.files"].insert_one(file)
    store.database["fs.chunks"].insert_one({"files_id": file["_id"], "n": 0, "data": b"bytes"})
    insert(1, artifacts=[{"name": "table", "file_id": file["_id"]}])
    insert(2)

    first, second = download(store, folder)

    assert "new, without table (a file in MongoStore" in first.done
    assert (second.done, second.failed) == ("new", False)


def test_files_of_an_experiment_that_cannot_be_read_are_not_taken_for_files_of_nobody(
    store, insert, monkeypatch
):
    monkeypatch.setattr("deep_bottleneck.storage.mongo_store.UPLOADED_WITHIN", timedelta(0))
    store.fs.put(b"still needed", filename="a table")
    insert(1, artifacts="abc")

    findings = list(examine(store, mend=True))

    assert [found.mended for found in findings] == ["", ""]
    assert "whose they are cannot be told" in findings[-1].what
    assert store.fs.exists(filename="a table")


@pytest.mark.parametrize("kept", ["../private.py", "/private.py", "_sources/../../private.py", 5])
def test_no_source_is_read_from_outside(store, record, tmp_path, kept):
    (tmp_path / "private.py").write_text(PRIVATE)
    records = record(run_json=RUN | {"experiment": {"sources": [["a.py", kept]]}})

    transfers = {transfer.id: transfer for transfer in upload(records, store)}

    assert transfers[1].failed
    assert "is no file of the record" in transfers[1].done
    assert (transfers[2].done, transfers[2].failed) == ("new", False)
    assert not store.fs.exists(filename="a.py")


@pytest.mark.parametrize("what", ["table.csv", "cout.txt", "_sources", "1"])
def test_no_link_is_followed(store, record, tmp_path, what):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "code.py").write_text(PRIVATE)
    records = record(run_json=RUN | {"experiment": {"sources": [["a.py", "_sources/code.py"]]}})
    (records.folder / "1" / "cout.txt").touch()
    (records.folder / "_sources").mkdir()
    (records.folder / "_sources" / "code.py").write_text("answer = 42")
    path = records.folder / (Path("1") / what if "." in what else what)
    target = outside / "code.py" if "." in what else outside
    if what == "1":
        shutil.copytree(path, outside / "1")
        target = outside / "1"
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    path.symlink_to(target)

    transfers = {transfer.id: transfer for transfer in upload(records, store)}

    assert transfers[1].failed
    assert "is a link" in transfers[1].done
    assert transfers[2].done == "new"
    assert PRIVATE not in str(list(store.database.runs.find()))
    assert PRIVATE.encode() not in [f.read() for f in gridfs.GridFS(store.database).find()]


@pytest.mark.parametrize(
    ("file", "content", "name"),
    [
        ("info_json", {"x": 2**70}, "x"),
        ("info_json", {"a\0b": 1}, r"a\0b"),
        ("config_json", {"x": "\ud800"}, "config.x"),
        ("metrics_json", {"loss": LOSS, "a": LOSS | {"values": [1, 2**70]}}, "a"),
    ],
)
def test_what_a_database_cannot_hold_is_named_and_the_rest_is_there(
    store, record, file, content, name
):
    transfers = {transfer.id: transfer for transfer in upload(record(**{file: content}), store)}

    assert transfers[2].done == "new"
    assert transfers[1].failed
    assert transfers[1].done.startswith("new, but not as it is here: ")
    assert f"{name} (" in transfers[1].done
    assert store.files(1).keys() == {"table"}
    assert store.metrics([1])[1]["loss"].tolist() == [1.0, 0.5]


def test_long_outputs_and_metrics_come_back_whole(store, record, folder, monkeypatch):
    monkeypatch.setattr(mongo_metrics, "LONGEST", 10)
    monkeypatch.setattr(bson_values, "OUTPUT_ENDS", 10)
    series = {name: [*values] * 23 for name, values in LOSS.items()}
    records = record(metrics_json={"loss": series}, cout_txt="a" * 50 + "b" * 50)

    assert [transfer.done for transfer in upload(records, store)] == ["new", "new"]
    assert [transfer.done for transfer in upload(records, store)] == ["nothing", "nothing"]

    assert store.database.metrics.count_documents({"run_id": 1}) == 5
    assert store.metrics([1])[1]["loss"].tolist() == series["values"]
    assert len(store.document(1)["captured_out"]) < 100 + 10
    assert not store.unreferenced_files()
    assert [transfer.done for transfer in download(store, folder)] == ["new", "new"]
    assert (folder.folder / "1" / "cout.txt").read_text() == "a" * 50 + "b" * 50
    assert ExperimentLoader(path=folder.folder).find_by_id(1).metrics["loss"].size == 46
    store.delete(1)
    assert not store.fs.exists(filename="output://runs/1")
