import json
from datetime import UTC, datetime

import pytest

from deep_bottleneck.processes import this_process
from deep_bottleneck.records import local
from deep_bottleneck.records.local import LocalStore


@pytest.fixture
def store(tmp_path):
    """One experiment that was alive a moment ago."""
    store = LocalStore(tmp_path)

    def note(**values):
        run = {"status": "RUNNING", "heartbeat": datetime.now(UTC).isoformat(), **values}
        (tmp_path / "1").mkdir(exist_ok=True)
        (tmp_path / "1" / "run.json").write_text(json.dumps(run))

    store.note = note
    return store


def status(store):
    return store.entries([1])[1].status


def test_whose_process_has_ended_without_a_word_is_lost_at_once(store, ended_process):
    store.note(host={"process": ended_process})

    assert status(store) == "LOST"


@pytest.mark.parametrize("host", [None, {}, {"process": "elsewhere"}, {"process": this_process()}])
def test_whose_process_runs_or_is_elsewhere_is_not(store, host):
    store.note(host=host)

    assert status(store) == "RUNNING"


def test_an_end_that_is_stored_while_we_look_counts(store, monkeypatch, ended_process):
    def stores_its_end(process):
        store.note(status="COMPLETED")
        return True

    store.note(host={"process": ended_process})
    monkeypatch.setattr(local, "is_gone", stores_its_end)

    assert status(store) == "COMPLETED"
