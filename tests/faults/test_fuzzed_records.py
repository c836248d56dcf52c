"""Records of nonsense, in a database and in a folder: nobody stops, and the whole one is read."""

import copy
import json
import shutil
from datetime import datetime

import gridfs
import pymongo
import pytest
from bson import ObjectId
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from pymongo.errors import BulkWriteError

from deep_bottleneck import report
from deep_bottleneck.board.app import create_app
from deep_bottleneck.errors import RecordError
from deep_bottleneck.eval_tools import ExperimentLoader
from deep_bottleneck.storage.folder_store import FolderStore
from deep_bottleneck.storage.mongo import MongoSettings
from deep_bottleneck.storage.mongo_store import MongoStore
from deep_bottleneck.storage.moving.doctor import examine
from deep_bottleneck.storage.moving.download import download
from deep_bottleneck.storage.moving.upload import upload

TIME = datetime(2026, 1, 1)
RUN = {
    "status": "FAILED",
    "start_time": TIME,
    "stop_time": TIME,
    "heartbeat": TIME,
    "config": {"epochs": 5, "seed": 1},
    "info": {"metrics": []},
    "captured_out": "said",
    "result": {"test": 0.5},
    "host": {"hostname": "somewhere", "process": "a/b/1/2"},
    "omniboard": {"tags": ["good"], "tagged": "2026"},
    "experiment": {"name": "x", "base_dir": "/", "sources": [], "repositories": []},
    "artifacts": [],
}
METRIC = {"name": "loss", "steps": [0, 1], "values": [1.0, 0.5], "timestamps": [TIME, TIME]}
FILE = {"filename": "artifact", "length": 5, "chunkSize": 261120, "metadata": {"suffix": ".csv"}}
NAMES = st.sampled_from(["", "..", "../up", "/etc/passwd", "_sources", "run", "checkpoint", "a/b"])
PLAIN = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | NAMES
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
KEYS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0.$"), max_size=3)
OF_DATABASES = st.binary(max_size=3) | st.datetimes() | st.builds(ObjectId)


def values(leaves):
    """Something nested of these leaves."""
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
        max_leaves=4,
    )


def paths(document, above=()):
    """Where something is in a document."""
    for key, value in document.items():
        yield (*above, key)
        if isinstance(value, dict):
            yield from paths(value, (*above, key))


@st.composite
def changed(draw, document, leaves):
    """A document in which one or two things are something else, or gone."""
    result = copy.deepcopy(document)
    for *parents, key in draw(st.lists(st.sampled_from(list(paths(document))), max_size=2)):
        holder = result
        for parent in parents:
            holder = holder.get(parent) if isinstance(holder, dict) else None
        if isinstance(holder, dict):
            if draw(st.booleans()):
                holder[key] = draw(values(leaves))
            else:
                holder.pop(key, None)
    return result


OF_DOCUMENTS = PLAIN | TEXTS | OF_DATABASES
IDS = st.integers(8, 10**6) | st.floats(8.5, 1e6) | NAMES | TEXTS | st.builds(ObjectId)
NUMBER = pytest.mark.parametrize(
    "n_examples", [10, pytest.param(1000, marks=pytest.mark.slow)], ids=["few", "thousand"]
)


def refused(read, *arguments):
    """Call something that may raise no other error than this."""
    try:
        return read(*arguments)
    except RecordError as error:
        assert str(error)
        return None


def of_number(n_examples):
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=n_examples, deadline=None, suppress_health_check=checks)


@NUMBER
def test_nonsense_in_a_database_stops_nobody(mongo_uri, tmp_path, n_examples):
    with pymongo.MongoClient(mongo_uri) as client:

        @of_number(n_examples)
        @given(
            IDS | st.dictionaries(KEYS, PLAIN, min_size=1, max_size=1),
            changed(RUN, OF_DOCUMENTS),
            changed(METRIC, OF_DOCUMENTS),
            changed(FILE, OF_DOCUMENTS),
            st.one_of(NAMES, TEXTS),
        )
        def play(id_, run, metric, file, name):
            client.drop_database("fuzzed")
            database = client["fuzzed"]
            file_id = gridfs.GridFS(database).put(b"bytes", filename="b")
            database["fs.files"].replace_one({"_id": file_id}, file)
            run.setdefault("artifacts", [])
            if run["artifacts"] == []:
                run["artifacts"] = [{"name": name, "file_id": file_id}]
            whole = {**RUN, "_id": 7, "identity": "whole"}
            try:
                database.runs.insert_many([whole, {**run, "_id": id_}])
                database.metrics.insert_many([{**METRIC, "run_id": 7}, {**metric, "run_id": id_}])
            except BulkWriteError:
                reject()  # the server of the tests takes no infinity
            shutil.rmtree(tmp_path / "runs", ignore_errors=True)
            (tmp_path / "runs").mkdir()
            in_database(MongoStore(MongoSettings(mongo_uri, "fuzzed")), tmp_path)

        play()
        client.drop_database("fuzzed")


def in_database(store, tmp_path):
    ids = store.ids()
    assert 7 in store.entries(ids)
    assert store.configs(ids)[7] == RUN["config"]
    assert store.metrics(ids)[7]["loss"].tolist() == METRIC["values"]
    assert store.summaries(ids, ["loss"])[7]["loss"].last == 0.5
    assert 7 in store.at_once().entries(ids)
    assert 7 in store.identities().values()
    for id_ in ids:
        refused(store.check_whole, id_)
        for stored in (refused(store.files, id_) or {}).values():
            refused(lambda stored=stored: stored.open().read())
    assert "experiment 7" not in {found.where for found in examine(store, mend=False)}
    moved = {transfer.id: transfer for transfer in download(store, FolderStore(tmp_path / "runs"))}
    assert moved[7].done == "new"
    assert len(moved) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"runs"}
    in_folder(tmp_path / "runs", moved[7].there)
    store.close()


def in_folder(runs, whole):
    loader = ExperimentLoader(path=runs)
    assert whole in loader.find_all().project(["status"]).index
    refused(loader.find_all().filter, {"name": "x", "config.epochs": {"$gt": 1}})
    assert f"experiment {whole}" not in {f.where for f in examine(loader.store, mend=False)}
    with create_app(loader).test_client() as client:
        assert client.get("/").status_code == 200
        assert client.get(f"/experiments/{whole}").status_code == 200
    report.page(loader.find_all(), runs, runs)


OF_JSON = PLAIN | st.text(max_size=5) | st.integers()


@NUMBER
def test_nonsense_in_a_folder_stops_nobody(tmp_path, mongo_uri, n_examples):
    run = {**RUN, **dict.fromkeys(("start_time", "stop_time", "heartbeat"), "2026-01-01T00:00:00")}
    metric = {**METRIC, "timestamps": ["2026-01-01T00:00:00"] * 2}

    @of_number(n_examples)
    @given(
        changed(run, OF_JSON),
        changed({"epochs": 5, "seed": {"deep": {"deeper": 1}}}, OF_JSON),
        changed({"loss": metric}, OF_JSON),
    )
    def play(run_of_one, config, metrics):
        runs = tmp_path / "runs"
        shutil.rmtree(runs, ignore_errors=True)
        for id_, contents in (
            (1, {"run": run_of_one, "config": config, "metrics": metrics}),
            (2, {"run": run, "config": {}, "metrics": {"loss": metric}}),
        ):
            (runs / str(id_)).mkdir(parents=True)
            for name, content in contents.items():
                (runs / str(id_) / f"{name}.json").write_text(json.dumps(content))
        in_folder(runs, 2)
        store = MongoStore(MongoSettings(mongo_uri, "fuzzed_folder"))
        store.database.client.drop_database("fuzzed_folder")
        moved = {transfer.id: transfer for transfer in upload(FolderStore(runs), store)}
        assert moved[2].done == "new"
        store.close()

    play()
