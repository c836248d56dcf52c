import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest

from deep_bottleneck.config import Config
from deep_bottleneck.launching.completed import StoredExperiments
from deep_bottleneck.pipeline import sources


@pytest.fixture
def root(tmp_path):
    """A framework of one file."""
    (tmp_path / "framework").mkdir()
    (tmp_path / "framework" / "code.py").write_text("answer = 42")
    return tmp_path / "framework"


@pytest.fixture
def store(tmp_path, root):
    """Stores experiments as Sacred does."""
    folder = tmp_path / "runs"

    def store(number, status="COMPLETED", **values):
        record = folder / str(number)
        record.mkdir(parents=True)
        digest = hashlib.md5((root / "code.py").read_bytes()).hexdigest()  # noqa: S324
        run = {
            "status": status,
            "experiment": {"sources": [["code.py", f"_sources/code_{digest}.py"]]},
        }
        (record / "run.json").write_text(json.dumps(run))
        config = Config.parse({"seed": 7, **values}).defaults()
        (record / "config.json").write_text(json.dumps(config))
        return record

    store.folder = folder
    return store


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"epochs": 5, "seed": 7}, "1"),
        ({"epochs": 5}, "1"),
        ({"epochs": 5, "estimator": ["mi_estimator.binning"], "n_runs": 1}, "1"),
        ({"seed": 7, "epochs": 5}, "1"),
        ({"epochs": 5, "seed": 8}, None),
        ({"epochs": 6}, None),
    ],
)
def test_a_completed_experiment_of_the_same_config_is_found(store, root, wanted, found):
    store(1, epochs=5)

    assert StoredExperiments(store.folder, root).completed(wanted) == found


@pytest.mark.parametrize("status", ["FAILED", "INTERRUPTED", "RUNNING"])
def test_one_that_did_not_end_well_is_not(store, root, status):
    store(1, status, epochs=5)

    assert StoredExperiments(store.folder, root).completed({"epochs": 5}) is None


def test_the_last_of_several_counts(store, root):
    for number in (2, 10):
        store(number, epochs=5)
    store(11, "FAILED", epochs=5)

    assert StoredExperiments(store.folder, root).completed({"epochs": 5}) == "10"


def gone(record):
    (record / "table.csv").unlink()


def emptied(record):
    (record / "table.csv").write_text("")


def linked_to_nowhere(record):
    gone(record)
    (record / "table.csv").symlink_to("nowhere")


def a_folder(record):
    gone(record)
    (record / "table.csv").mkdir()


def without_space(record):
    change(record, missing=["table"])


def without_sources(record):
    change(record, experiment={"sources": []})


def change(record, **values):
    run = json.loads((record / "run.json").read_text())
    (record / "run.json").write_text(json.dumps(run | values))


@pytest.mark.parametrize(
    "damage", [gone, emptied, linked_to_nowhere, a_folder, without_space, without_sources]
)
def test_one_that_is_not_whole_does_not_count(store, root, damage):
    record = store(1, epochs=5)
    (record / "table.csv").write_text("epoch\n1\n")
    change(record, artifacts=["table"])
    assert StoredExperiments(store.folder, root).completed({"epochs": 5}) == "1"

    damage(record)

    assert StoredExperiments(store.folder, root).completed({"epochs": 5}) is None


def test_what_a_killed_process_has_left_is_cleared_away(store, root, ended_process):
    record = store(1, "RUNNING", epochs=5)
    change(record, host={"process": ended_process})
    for name in (".reserve", ".run.json.1a2b.unfinished"):
        (record / name).touch()

    StoredExperiments(store.folder, root).unfinished({"epochs": 5})

    assert sorted(path.name for path in record.iterdir()) == ["config.json", "run.json"]


@pytest.mark.parametrize(
    ("status", "age", "found"),
    [
        ("TIMEOUT", 0, True),
        ("INTERRUPTED", 0, True),
        ("RUNNING", 3600, True),
        ("RUNNING", 0, False),
        ("COMPLETED", 3600, False),
    ],
)
def test_one_that_has_ended_early_goes_on_from_its_checkpoint(store, root, status, age, found):
    record = store(1, status, epochs=5)
    for name in ("checkpoint.h5", "activations.h5"):
        (record / name).touch()
    store(2, "FAILED", epochs=5)
    heartbeat = datetime.now(UTC) - timedelta(seconds=age)
    run = json.loads((record / "run.json").read_text())
    (record / "run.json").write_text(json.dumps(run | {"heartbeat": heartbeat.isoformat()}))

    unfinished = StoredExperiments(store.folder, root).unfinished({"epochs": 5})

    assert unfinished == (record if found else None)


def test_one_that_was_killed_on_this_machine_goes_on_at_once(store, root, ended_process):
    record = store(1, "RUNNING", epochs=5)
    for name in ("checkpoint.h5", "activations.h5"):
        (record / name).touch()
    run = json.loads((record / "run.json").read_text())
    now = datetime.now(UTC).isoformat()
    host = {"process": ended_process}
    (record / "run.json").write_text(json.dumps(run | {"heartbeat": now, "host": host}))

    assert StoredExperiments(store.folder, root).unfinished({"epochs": 5}) == record


@pytest.mark.parametrize("change", [lambda f: f.write_text("answer = 43"), lambda f: f.unlink()])
def test_changed_code_is_other_code(store, root, change):
    store(1, epochs=5)

    change(root / "code.py")

    assert StoredExperiments(store.folder, root).completed({"epochs": 5}) is None


def test_what_is_no_experiment_of_today_is_left_out(store, root):
    store(1, epochs=5)
    (store(2, epochs=5) / "run.json").write_text("{")
    (store(3, epochs=5) / "config.json").write_text('{"epochs": 5, "seed": 7, "old_key": 1}')
    (store.folder / "_sources").mkdir()

    assert StoredExperiments(store.folder, root).completed({"epochs": 5}) == "1"
    assert StoredExperiments(store.folder / "absent", root).completed({"epochs": 5}) is None


def test_plug_ins_outside_are_found_from_the_copy_that_was_run(tmp_path):
    plug_in = tmp_path / "lab" / "data.py"
    plug_in.parent.mkdir()
    plug_in.write_text("answer = 42")
    digest = hashlib.md5(plug_in.read_bytes()).hexdigest()  # noqa: S324
    stored = [("../../lab/data.py", f"_sources/data_{digest}.py")]
    copy = tmp_path / "output" / "code"
    copy.mkdir(parents=True)

    assert sources.unchanged(tmp_path / "framework", copy, stored)
    plug_in.write_text("answer = 43")
    assert not sources.unchanged(tmp_path / "framework", copy, stored)


def test_what_has_lost_its_recording_begins_anew(store, root):
    record = store(1, "TIMEOUT", epochs=5)
    (record / "checkpoint.h5").touch()

    assert StoredExperiments(store.folder, root).unfinished({"epochs": 5}) is None
