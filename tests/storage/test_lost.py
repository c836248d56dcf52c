"""An experiment whose process has ended without a word, in each kind of record."""

import json
from datetime import UTC, datetime

import pytest

from deep_bottleneck.machine.processes import this_process
from deep_bottleneck.storage import base
from deep_bottleneck.storage.folder_store import FolderStore
from deep_bottleneck.storage.mongo import settings_of_uri
from deep_bottleneck.storage.mongo_store import MongoStore

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


class Local:
    def __init__(self, folder):
        self.store = FolderStore(folder)
        (folder / "1").mkdir()
        self._path = folder / "1" / "run.json"

    def note(self, **run):
        self._path.write_text(json.dumps(run, default=datetime.isoformat))


class Database:
    def __init__(self, uri):
        self.store = MongoStore(settings_of_uri(uri, "lost"))

    def note(self, **run):
        self.store.database["runs"].replace_one({"_id": 1}, {"_id": 1, **run}, upsert=True)


@pytest.fixture(params=["local", "database"])
def record(request, tmp_path, mongo_uri):
    """One experiment."""
    if request.param == "local":
        yield Local(tmp_path)
        return
    record = Database(mongo_uri)
    yield record
    record.store.database.client.drop_database("lost")
    record.store.close()


def note_running(record, host):
    record.note(status="RUNNING", heartbeat=datetime.now(UTC), host=host)


def status(record):
    return record.store.entries([1])[1].status


def test_whose_process_has_ended_without_a_word_is_lost_at_once(record, ended_process):
    note_running(record, {"process": ended_process})

    assert status(record) == "LOST"


@pytest.mark.parametrize("host", [None, {}, {"process": "elsewhere"}, {"process": this_process()}])
def test_whose_process_runs_or_is_elsewhere_is_not(record, host):
    note_running(record, host)

    assert status(record) == "RUNNING"


def test_whose_process_runs_is_not_lost_however_long_it_is_silent(record):
    """Such as on a laptop that has slept."""
    record.note(status="RUNNING", heartbeat=LONG_AGO, host={"process": this_process()})

    assert status(record) == "RUNNING"


@pytest.mark.parametrize("host", [None, {"process": "elsewhere"}])
def test_whose_process_nobody_can_ask_is_lost_after_a_silence(record, host):
    record.note(status="RUNNING", heartbeat=LONG_AGO, host=host)

    assert status(record) == "LOST"


def test_an_end_that_is_stored_while_we_look_counts(record, monkeypatch, ended_process):
    def stores_its_end(process):
        record.note(status="COMPLETED")
        return False

    note_running(record, {"process": ended_process})
    monkeypatch.setattr(base, "is_alive", stores_its_end)

    assert status(record) == "COMPLETED"
