"""Records of nonsense, in a database and in a folder: nobody stops, and the whole one is read.

Each example is a store of several such records, with a whole one among them.
"""

import copy
import json
import shutil
from collections import Counter
from contextlib import suppress
from datetime import datetime
from functools import partial
from urllib.parse import quote

import pytest
from bson import ObjectId
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.errors import OperationFailure

from deep_bottleneck import report
from deep_bottleneck.board.app import create_app
from deep_bottleneck.errors import RecordError
from deep_bottleneck.eval_tools import ExperimentLoader
from deep_bottleneck.storage.__main__ import main as storage
from deep_bottleneck.storage.mongo import MongoSettings
from deep_bottleneck.storage.mongo_store import MongoStore
from deep_bottleneck.storage.moving.doctor import examine

TIME = datetime(2026, 1, 1)
WHOLE = {
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
    "identity": "whole",
}
METRIC = {"name": "loss", "steps": [0, 1], "values": [1.0, 0.5], "timestamps": [TIME, TIME]}
FILE = {"filename": "artifact", "length": 5, "chunkSize": 261120, "metadata": {"suffix": ".csv"}}
# what is changed in others: the same with sources, a commit and an artifact
SOURCES = {"sources": [["code.py", "_sources/code.py"]], "repositories": [{"commit": "abc"}]}
RUN = {**WHOLE, "experiment": {**WHOLE["experiment"], **SOURCES}, "artifacts": ["table"]}
del RUN["identity"]
RECORDS_OF_A_STORE = 10

NAMES = st.sampled_from(
    ["", "..", "../up", "/etc/passwd", "_sources", "run", "checkpoint", "a/b", "RUNNING", "7"]
)
NUMBERS = st.floats(allow_infinity=False)  # which the server of the tests does not take
PLAIN = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | NUMBERS | NAMES
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
KEYS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0.$"), max_size=3)
OF_DATABASES = st.binary(max_size=3) | st.datetimes() | st.builds(ObjectId)
GONE = object()


def values(leaves):
    """Something nested of these leaves, or nothing."""
    nested = st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
        max_leaves=4,
    )
    return nested | st.just(GONE)


def paths(document, above=()):
    """Where something is in a document."""
    for key in list(document) if isinstance(document, dict) else range(len(document)):
        yield (*above, key)
        if isinstance(document[key], dict | list):
            yield from paths(document[key], (*above, key))


def changed(document, leaves):
    """Documents in which one or two things are something else, or gone."""
    change = st.tuples(st.sampled_from(list(paths(document))), values(leaves))
    return st.lists(change, max_size=2).map(partial(with_changes, document))


def with_changes(document, changes):
    result = copy.deepcopy(document)
    for (*parents, key), value in changes:
        holder = result
        # what is no longer there is not changed a second time
        with suppress(IndexError, KeyError, TypeError):
            for parent in parents:
                holder = holder[parent]
            if isinstance(holder, list if isinstance(key, int) else dict):
                holder[key] = value
                if value is GONE:
                    del holder[key]
    return result


def several(first, *others):
    """Ten records, the first part of which differs from each to each."""
    return st.lists(
        st.tuples(first, *others),
        min_size=RECORDS_OF_A_STORE,
        max_size=RECORDS_OF_A_STORE,
        unique_by=lambda record: str(record[0]),
    )


# some of which the server of the tests does not take
THOUSAND = 1100
NUMBER = pytest.mark.parametrize(
    "n_records", [20, pytest.param(THOUSAND, marks=pytest.mark.slow)], ids=["few", "thousand"]
)


def of_number(n_records):
    return settings(
        max_examples=n_records // RECORDS_OF_A_STORE,
        deadline=60_000,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def refused(read, *arguments):
    """Call something that may raise no other error than this."""
    try:
        return read(*arguments)
    except RecordError as error:
        assert str(error)
        return None


OF_DOCUMENTS = PLAIN | TEXTS | OF_DATABASES
IDS = st.integers(8, 10**6) | st.floats(8.5, 1e6) | NAMES | TEXTS | st.builds(ObjectId)
OF_DATABASE = several(
    IDS | st.dictionaries(KEYS, PLAIN, min_size=1, max_size=1),
    changed(RUN, OF_DOCUMENTS),
    changed(METRIC, OF_DOCUMENTS),
    changed(FILE, OF_DOCUMENTS),
    NAMES | TEXTS,
)


@pytest.fixture
def environment(mongo_uri, tmp_path, monkeypatch):
    """Where the commands look: a folder, and a database."""
    for name, value in {
        "MONGO_URI": mongo_uri,
        "MONGO_DATABASE": "fuzzed",
        "DEEP_BOTTLENECK_RUNS": str(tmp_path / "runs"),
    }.items():
        monkeypatch.setenv(name, value)
    store = MongoStore(MongoSettings(mongo_uri, "fuzzed"))
    yield store
    store.database.client.drop_database("fuzzed")
    store.close()


def emptied(store, runs):
    for name in ("runs", "metrics", "fs.files", "fs.chunks"):
        store.database[name].delete_many({})
    shutil.rmtree(runs, ignore_errors=True)
    runs.mkdir()


@NUMBER
def test_nonsense_in_a_database_stops_nobody(
    environment, tmp_path, capsys, record_property, n_records
):
    store, numbers = environment, Counter()

    @of_number(n_records)
    @given(OF_DATABASE)
    def play(records):
        emptied(store, tmp_path / "runs")
        insert(store, "runs", [{**WHOLE, "_id": 7}])
        insert(store, "metrics", [{**METRIC, "run_id": 7}])
        for id_, run, metric, file, name in records:
            file_id = ObjectId()
            if run.get("artifacts") == RUN["artifacts"]:
                run["artifacts"] = [{"name": name, "file_id": file_id}]
            if (experiment := run.get("experiment")) == RUN["experiment"]:
                run["experiment"] = {**experiment, "sources": [["code.py", file_id]]}
            insert(store, "runs", [{**run, "_id": id_}])
            insert(store, "metrics", [{**metric, "run_id": id_}])
            insert(store, "fs.files", [{**file, "_id": file_id}])
            insert(store, "fs.chunks", [{"files_id": file_id, "n": 0, "data": b"bytes"}])
        n_stored = store.database["runs"].count_documents({})
        numbers["records"] += n_stored - 1
        numbers["damaged"] += in_database(store)
        status = storage(["export", str(tmp_path / "runs")])
        assert f"of {n_stored} experiments" in capsys.readouterr().out
        assert status in (0, 1)
        assert {path.name for path in tmp_path.iterdir()} == {"runs"}
        in_folder(tmp_path / "runs")

    play()
    record_property("records in a database", said_of(numbers))


def insert(store, collection, documents):
    with suppress(OperationFailure):  # such as a name of a file that is no text
        store.database[collection].insert_many(documents)


def in_database(store):
    """Ask a database for everything, and count what is damaged."""
    ids = store.ids()
    assert 7 in store.entries(ids)
    assert store.configs(ids)[7] == WHOLE["config"]
    assert store.metrics(ids)[7]["loss"].tolist() == METRIC["values"]
    assert store.summaries(ids, ["loss"])[7]["loss"].last == 0.5
    assert 7 in store.at_once().entries(ids)
    assert store.identities()["whole"] == 7
    for id_ in ids:
        for stored in (refused(store.files, id_) or {}).values():
            refused(lambda stored=stored: stored.open().read())
    return len(damaged(store, 7))


def damaged(store, whole):
    """The experiments that the doctor names, of which the whole one is none."""
    found = {finding.where for finding in examine(store, mend=False)}
    named = {where for where in found if where.startswith("experiment ")}
    assert f"experiment {whole}" not in named
    return named


def in_folder(runs):
    """Ask a folder for everything, and count what is damaged."""
    loader = ExperimentLoader(path=runs)
    whole = loader.store.identities()["whole"]
    found = loader.find_all()
    assert whole in found.project(["status"]).index
    refused(found.filter, {"name": "x", "config.epochs": {"$gt": 1}})
    with create_app(loader).test_client() as client:
        assert client.get("/").status_code == 200
        assert client.get(f"/experiments/{whole}").status_code == 200
        for id_ in loader.store.ids():
            answer = client.get(f"/experiments/{quote(str(id_), safe='')}")
            assert answer.status_code in (200, 404, 503)
    report.page(found, runs, runs)
    return len(damaged(loader.store, whole))


OF_JSON = PLAIN | st.floats() | st.text(max_size=5) | st.integers()
AS_JSON = {
    **dict.fromkeys(("start_time", "stop_time", "heartbeat"), TIME.isoformat()),
    "artifacts": ["table"],
}
METRIC_AS_JSON = {**METRIC, "timestamps": [TIME.isoformat()] * 2}
OF_FOLDER = several(
    changed({**RUN, **AS_JSON}, OF_JSON),
    changed({"epochs": 5, "seed": {"deep": {"deeper": 1}}}, OF_JSON),
    changed({"loss": METRIC_AS_JSON}, OF_JSON),
)


@NUMBER
def test_nonsense_in_a_folder_stops_nobody(
    environment, tmp_path, capsys, record_property, n_records
):
    runs, numbers = tmp_path / "runs", Counter()
    whole = {**WHOLE, **AS_JSON, "artifacts": []}, {}, {"loss": METRIC_AS_JSON}

    @of_number(n_records)
    @given(OF_FOLDER)
    def play(records):
        emptied(environment, runs)
        (runs / "_sources").mkdir()
        (runs / "_sources" / "code.py").write_text("answer = 42")
        for id_, (run, config, metrics) in enumerate([whole, *records], start=1):
            (runs / str(id_)).mkdir()
            for name, content in (("run", run), ("config", config), ("metrics", metrics)):
                (runs / str(id_) / f"{name}.json").write_text(json.dumps(content))
            (runs / str(id_) / "table.csv").write_text("a,b\n1,2\n")
        numbers["records"] += len(records)
        numbers["damaged"] += in_folder(runs)
        status = storage(["sync"])
        assert f"of {1 + len(records)} experiments" in capsys.readouterr().out
        assert status in (0, 1)
        assert environment.identities()["whole"] == 1

    play()
    record_property("records in a folder", said_of(numbers))


def said_of(numbers):
    return f"{numbers['records']}, of which {numbers['damaged']} were named as damaged"
