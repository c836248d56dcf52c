import json
import shutil
from datetime import UTC, datetime, timedelta

import gridfs
import pymongo
import pytest
import sacred

from deep_bottleneck.eval_tools import ExperimentLoader
from deep_bottleneck.storage import observers
from deep_bottleneck.storage.__main__ import main
from deep_bottleneck.storage.folder_store import FolderStore
from deep_bottleneck.storage.mongo_store import MongoStore


@pytest.fixture
def database(mongo_uri, request, monkeypatch):
    """An empty database that the environment names."""
    name = f"moving_{abs(hash(request.node.name))}"
    monkeypatch.setenv("MONGO_URI", mongo_uri)
    monkeypatch.setenv("MONGO_DATABASE", name)
    with pymongo.MongoClient(mongo_uri) as client:
        yield client[name]
        client.drop_database(name)


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """The folder of the local record."""
    monkeypatch.setenv("DEEP_BOTTLENECK_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def run_experiment(folder, number, **settings):
    """An experiment with a metric, an artifact and a source file."""
    ex = sacred.Experiment("small", save_git_info=False)
    ex.add_config(number=number, seed=0)
    ex.observers.extend(
        observers.configured({"DEEP_BOTTLENECK_RUNS": str(folder), **settings}, folder / "no file")
    )
    folder.mkdir(exist_ok=True)
    picture = folder.parent / "picture.png"
    picture.write_bytes(bytes([number]) * 600_000)

    @ex.main
    def main(_run):
        for step in range(3):
            _run.log_scalar("test.accuracy", number + step / 4, step)
        _run.add_artifact(str(picture), name="infoplane_test")
        return {"test": 0.9}

    return ex.run()


def chunks(database):
    return sum(
        len(list(database["fs.chunks"].find({"files_id": f["_id"]}))) for f in files(database)
    )


def files(database):
    return list(database["fs.files"].find())


def test_what_is_missing_is_uploaded_once_however_often_it_is_run(runs, database, capsys):
    run_experiment(runs, 1)
    run_experiment(runs, 2)

    assert main(["sync"]) == 0
    assert "2 of 2 experiments had something to move" in capsys.readouterr().out
    stored = files(database)
    assert main(["sync"]) == 0
    assert "0 of 2 experiments had something to move" in capsys.readouterr().out

    assert files(database) == stored
    assert len(list(database.runs.find())) == 2
    assert len(list(database.metrics.find())) == 2


def test_both_copies_of_an_uploaded_experiment_are_the_same(runs, database, mongo_uri):
    run_experiment(runs, 1)

    main(["sync"])

    local = ExperimentLoader(path=runs).find_by_id(1)
    copy = ExperimentLoader(mongo_uri, database.name).find_by_id(1)
    for attribute in ("config", "status", "result", "start_time", "stop_time", "sources", "name"):
        assert getattr(copy, attribute) == getattr(local, attribute)
    assert copy.metrics["test.accuracy"].tolist() == [1, 1.25, 1.5]
    assert copy.artifacts["infoplane_test"].read() == local.artifacts["infoplane_test"].read()


def test_an_id_that_is_taken_is_mapped(runs, database, capsys):
    database.runs.insert_one({"_id": 1, "status": "COMPLETED", "whose": "another machine"})
    run_experiment(runs, 1)

    main(["sync"])

    report = capsys.readouterr().out.splitlines()
    assert report[1].split() == ["1", "2", "new"]
    assert database.runs.find_one({"_id": 1})["whose"] == "another machine"


def test_what_was_stored_while_it_ran_is_not_uploaded_again(runs, database, mongo_uri, capsys):
    run_experiment(runs, 1, MONGO_URI=mongo_uri, MONGO_DATABASE=database.name)

    main(["sync"])

    assert "0 of 1 experiments" in capsys.readouterr().out


def test_tags_are_brought_where_they_were_chosen_later(runs, database, mongo_uri, capsys):
    run_experiment(runs, 1)
    main(["sync"])
    here = ExperimentLoader(path=runs).find_by_id(1)
    there = ExperimentLoader(mongo_uri, database.name).find_by_id(1)

    here.tag("good", "short")
    main(["sync"])
    assert there.tags == ("good", "short")

    there.tag("bad")
    capsys.readouterr()
    main(["sync"])
    assert "0 of 1 experiments" in capsys.readouterr().out
    assert there.tags == ("bad",)

    here.tag()
    main(["sync"])
    assert there.tags == ()


def test_an_upload_that_was_cut_short_is_completed(runs, database, capsys):
    run_experiment(runs, 1)
    main(["sync"])
    whole = files(database)
    boards_look_here = [{"name": "test.accuracy", "id": "1"}]
    interrupted = {"artifacts": [], "status": "RUNNING", "info": {"metrics": boards_look_here}}
    database.runs.update_one({"_id": 1}, {"$set": interrupted})
    database.metrics.delete_many({})

    main(["sync"])

    assert "completed" in capsys.readouterr().out
    assert len(files(database)) == len(whole)
    assert database.runs.find_one()["status"] == "COMPLETED"
    assert database.runs.find_one()["info"]["metrics"] == boards_look_here
    assert database.metrics.find_one()["values"] == [1, 1.25, 1.5]


@pytest.mark.parametrize("file", ["run.json", "config.json", "metrics.json", "info.json"])
def test_a_broken_record_is_named_and_the_others_are_uploaded(runs, database, capsys, file):
    run_experiment(runs, 1)
    run_experiment(runs, 2)
    (runs / "1" / file).write_text("{")

    assert main(["sync"]) == 1

    assert f"1/{file} cannot be read" in capsys.readouterr().out
    assert [run["_id"] for run in database.runs.find()] == [2]


def test_an_experiment_that_still_runs_is_left_for_later(runs, database, capsys):
    run_experiment(runs, 1)
    set_run(runs, status="RUNNING", heartbeat=datetime.now(UTC).isoformat())

    main(["sync"])

    assert "still running" in capsys.readouterr().out
    assert not list(database.runs.find())


def test_experiments_move_to_another_database_by_way_of_a_folder(
    runs, database, tmp_path, monkeypatch, capsys
):
    run_experiment(runs, 1)
    run_experiment(runs, 2)
    main(["sync"])

    assert main(["export", str(tmp_path / "moved")]) == 0
    assert main(["export", str(tmp_path / "moved")]) == 0
    assert "0 of 2 experiments" in capsys.readouterr().out

    exported = ExperimentLoader(path=tmp_path / "moved")
    assert exported.find_all().project(["test.accuracy"])["test.accuracy"].tolist() == [1.5, 2.5]
    original = ExperimentLoader(path=runs).find_by_id(2)
    assert exported.find_by_id(2).artifacts.keys() == original.artifacts.keys()
    assert exported.find_by_id(2).sources == original.sources
    assert sorted(p.name for p in (tmp_path / "moved" / "_sources").iterdir()) == sorted(
        p.name for p in (runs / "_sources").iterdir()
    )
    assert not list((tmp_path / "moved").glob(".unfinished_*"))

    monkeypatch.setenv("MONGO_DATABASE", f"{database.name}_other")
    assert main(["import", str(tmp_path / "moved")]) == 0
    other = database.client[f"{database.name}_other"]
    assert [run["config"]["number"] for run in other.runs.find()] == [1, 2]
    database.client.drop_database(other.name)


def test_a_copy_under_another_id_is_the_same_experiment(runs, database, tmp_path, capsys):
    run_experiment(runs, 1)
    main(["sync"])
    run_experiment(tmp_path / "moved", 5)

    main(["export", str(tmp_path / "moved")])
    assert capsys.readouterr().out.splitlines()[-2].split() == ["1", "2", "new"]
    main(["import", str(tmp_path / "moved")])

    assert [run["config"]["number"] for run in database.runs.find()] == [1, 5]


def test_equal_sources_are_stored_once(runs, database, mongo_uri):
    for number in (1, 2):
        run_experiment(runs, number, MONGO_URI=mongo_uri, MONGO_DATABASE=database.name)
    shutil.rmtree(runs / "1")

    names = [file["filename"] for file in files(database) if "artifact" not in file["filename"]]
    assert len(names) == len(set(names)) > 0


def test_deleting_frees_the_chunks_and_keeps_what_others_need(runs, database, mongo_uri):
    for number in (1, 2):
        run_experiment(runs, number, MONGO_URI=mongo_uri, MONGO_DATABASE=database.name)
    loader = ExperimentLoader(mongo_uri, database.name)
    before = chunks(database)

    loader.find_by_id(1).delete(confirmed=True)

    assert chunks(database) == before - 3
    assert [metric["run_id"] for metric in database.metrics.find()] == [2]
    fs = gridfs.GridFS(database)
    assert all(fs.exists(id_) for _, id_ in database.runs.find_one()["experiment"]["sources"])
    loader.find_by_id(2).delete(confirmed=True)
    assert not files(database)
    assert ExperimentLoader(path=runs).find_all().ids == [1, 2]


def test_the_doctor_ends_an_experiment_without_a_heartbeat(runs, database, mongo_uri, capsys):
    run_experiment(runs, 1, MONGO_URI=mongo_uri, MONGO_DATABASE=database.name)
    silent_since = datetime.now(UTC).replace(tzinfo=None, microsecond=0) - timedelta(hours=1)
    set_run(runs, status="RUNNING", heartbeat=silent_since.isoformat())
    database.runs.update_one({}, {"$set": {"status": "RUNNING", "heartbeat": silent_since}})
    stores = (
        FolderStore(runs),
        MongoStore(
            observers.mongo_settings(
                {"MONGO_URI": mongo_uri, "MONGO_DATABASE": database.name}, runs / "no file"
            )
        ),
    )
    for store in stores:
        assert store.entries([1])[1].status == "LOST"
        assert store.entries([1])[1].stored_status == "RUNNING"

    assert main(["doctor"]) == 1
    assert capsys.readouterr().out.count("has given no sign since") == 2
    assert main(["doctor", "--mend"]) == 0
    capsys.readouterr()

    for store in stores:
        assert store.entries([1])[1].stored_status == "LOST"
        assert store.entries([1])[1].stop_time == silent_since.replace(tzinfo=UTC)
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out == "Everything is in order\n"


def test_the_doctor_deletes_files_of_nobody(runs, database, monkeypatch, capsys):
    runs.mkdir()
    gridfs.GridFS(database).put(b"content", filename="forgotten")

    main(["doctor", "--mend"])
    assert "in order" in capsys.readouterr().out  # it may be on its way into an experiment

    monkeypatch.setattr(
        "deep_bottleneck.storage.mongo_store.UPLOADED_WITHIN", timedelta(minutes=-1)
    )
    main(["doctor", "--mend"])
    assert "file forgotten" in capsys.readouterr().out
    assert not files(database)


@pytest.mark.parametrize(
    ("arguments", "settings", "sentence"),
    [
        (["sync"], {}, "no database is configured"),
        (["import", "no such folder"], {"MONGO_URI": "{uri}"}, "no such folder is no folder"),
        (["sync"], {"MONGO_URI": "mongodb://me:secret@127.0.0.1:9"}, "127.0.0.1:9 cannot be used"),
    ],
)
def test_mistakes_end_in_one_sentence(
    arguments, settings, sentence, mongo_uri, monkeypatch, capsys
):
    monkeypatch.delenv("MONGO_URI", raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value.format(uri=mongo_uri))

    with pytest.raises(SystemExit) as stopped:
        main(arguments)

    said = capsys.readouterr().err
    assert stopped.value.code == 2
    assert sentence in said
    assert said.count("\n") == 1
    assert "secret" not in said


def set_run(runs, **values):
    path = runs / "1" / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
