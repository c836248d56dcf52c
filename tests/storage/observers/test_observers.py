import json
import logging

import gridfs
import pymongo
import pytest
import sacred

from deep_bottleneck.errors import ConfigError, RecordError
from deep_bottleneck.storage import bson_values, mongo_metrics, observers

NO_FILE = "no such file"


@pytest.fixture
def experiment(tmp_path):
    """Runs a small experiment that logs a metric and adds an artifact, with given settings."""

    def run(**settings):
        ex = sacred.Experiment("small", save_git_info=False)
        environment = {"DEEP_BOTTLENECK_RUNS": str(tmp_path / "runs"), **settings}
        ex.observers.extend(observers.configured(environment, tmp_path / NO_FILE))
        picture = tmp_path / "picture.png"
        picture.write_bytes(b"a picture")

        @ex.main
        def main(_run):
            _run.log_scalar("training.loss", 0.5, 0)
            _run.add_artifact(str(picture), name="infoplane_train")
            return {"test": 0.9}

        return ex.run()

    return run


@pytest.fixture
def database(mongo_uri, request):
    name = f"test_{abs(hash(request.node.name))}"
    with pymongo.MongoClient(mongo_uri) as client:
        yield client[name]
        client.drop_database(name)


def test_without_settings_everything_is_in_a_folder(experiment, tmp_path):
    experiment()

    record = tmp_path / "runs" / "1"
    assert json.loads((record / "run.json").read_text())["status"] == "COMPLETED"
    assert json.loads((record / "run.json").read_text())["artifacts"] == ["infoplane_train"]
    assert (record / "infoplane_train.png").read_bytes() == b"a picture"
    assert json.loads((record / "metrics.json").read_text())["training.loss"]["values"] == [0.5]
    assert not [path for path in record.iterdir() if "unfinished" in path.name]


@pytest.mark.parametrize("path", ["file", "file/below"])
def test_a_folder_that_cannot_be_one_is_named(tmp_path, path):
    (tmp_path / "file").write_text("no folder")

    with pytest.raises(RecordError, match=f"{path} cannot be the folder of the local record"):
        observers.configured({"DEEP_BOTTLENECK_RUNS": str(tmp_path / path)}, tmp_path / NO_FILE)


def test_what_a_database_cannot_hold_does_not_end_the_copy(
    tmp_path, mongo_uri, database, monkeypatch, caplog
):
    monkeypatch.setattr(bson_values, "OUTPUT_ENDS", 100)
    monkeypatch.setattr(mongo_metrics, "LONGEST", 10)
    settings = {"MONGO_URI": mongo_uri, "MONGO_DATABASE": database.name}
    ex = sacred.Experiment("large", save_git_info=False)
    environment = {"DEEP_BOTTLENECK_RUNS": str(tmp_path / "runs"), **settings}
    ex.observers.extend(observers.configured(environment, tmp_path / NO_FILE))

    @ex.main
    def main(_run):
        _run.info["integer"] = 2**70
        for step in range(25):
            _run.log_scalar("training.loss", 0.5, step)
            _run._emit_heartbeat()
        _run.captured_out = "word " * 1000
        return {"test": 0.9}

    ex.run()

    (stored,) = database.runs.find()
    assert stored["status"] == "COMPLETED"
    assert stored["info"]["integer"] == str(2**70)
    assert len(stored["captured_out"]) < 400
    whole = gridfs.GridFS(database).get(stored["captured_out_file"]).read()
    assert whole.count(b"word") >= 1000
    assert database.metrics.count_documents({}) == 3
    assert caplog.text.count("cannot store all as it is: info.integer") == 1


def test_with_a_database_everything_is_in_both(experiment, tmp_path, mongo_uri, database):
    run = experiment(MONGO_URI=mongo_uri, MONGO_DATABASE=database.name)

    stored = database.runs.find_one({"_id": int(run._id)})
    assert stored["status"] == "COMPLETED"
    assert stored["result"] == {"test": 0.9}
    (artifact,) = stored["artifacts"]
    assert artifact["name"] == "infoplane_train"
    assert gridfs.GridFS(database).get(artifact["file_id"]).read() == b"a picture"
    assert database.metrics.find_one({"name": "training.loss"})["values"] == [0.5]
    assert (tmp_path / "runs" / str(run._id) / "run.json").exists()


def test_an_id_that_the_database_has_already_is_not_overwritten(
    experiment, mongo_uri, database, caplog
):
    database.runs.insert_one({"_id": 1, "status": "COMPLETED", "whose": "another machine"})

    with caplog.at_level(logging.INFO):
        run = experiment(MONGO_URI=mongo_uri, MONGO_DATABASE=database.name)

    assert str(run._id) == "1"
    assert database.runs.find_one({"_id": 1})["whose"] == "another machine"
    assert database.runs.find_one({"_id": 2})["status"] == "COMPLETED"
    assert "has an experiment 1 already; this one is 2 there" in caplog.text


def test_an_unreachable_database_is_one_sentence_and_the_experiment_goes_on(
    experiment, tmp_path, caplog
):
    run = experiment(MONGO_URI="mongodb://me:secret@127.0.0.1:9/?authSource=admin")

    assert run.status == "COMPLETED"
    assert (tmp_path / "runs" / "1" / "run.json").exists()
    (warning,) = [r for r in caplog.records if r.name == observers.logger.name]
    assert "127.0.0.1:9 cannot be used (it did not answer within 3 seconds)" in warning.message
    assert "secret" not in caplog.text


def test_a_report_tells_id_and_status(experiment, tmp_path):
    report = tmp_path / "report.json"

    experiment(DEEP_BOTTLENECK_REPORT=str(report))

    told = json.loads(report.read_text())
    assert (told["id"], told["status"], told["epoch"], told["error"]) == ("1", "COMPLETED", 0, "")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"MONGO_URI": "mongodb://host/db"}, ("mongodb://host/db", "db")),
        ({"MONGO_URI": "mongodb://host"}, ("mongodb://host", "sacred")),
        ({"MONGO_HOST": "host:1", "MONGO_DATABASE": "db"}, ("mongodb://host:1", "db")),
        (
            {
                "MONGO_HOST": "host",
                "MONGO_DATABASE": "db",
                "MONGO_INITDB_ROOT_USERNAME": "me",
                "MONGO_INITDB_ROOT_PASSWORD": "p@ss/word",
            },
            ("mongodb://me:p%40ss%2Fword@host", "db"),
        ),
    ],
)
def test_settings_from_the_environment(environment, expected, tmp_path):
    settings = observers.mongo_settings(environment, tmp_path / NO_FILE)

    assert (settings and (settings.uri, settings.database)) == expected


def test_the_environment_wins_over_the_file(tmp_path):
    file = tmp_path / ".env"
    file.write_text("MONGO_HOST=from_file\nMONGO_DATABASE=from_file\n")

    settings = observers.mongo_settings({"MONGO_DATABASE": "from_environment"}, file)

    assert (settings.uri, settings.database) == ("mongodb://from_file", "from_environment")
    assert "from_file" not in repr(settings)


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"MONGO_HOST": "host"}, "MONGO_DATABASE is not"),
        ({"MONGO_URI": "http://host"}, "MONGO_URI is not a MongoDB address"),
        (
            {"MONGO_HOST": "h", "MONGO_DATABASE": "d", "MONGO_INITDB_ROOT_USERNAME": "me"},
            "go together",
        ),
    ],
)
def test_incomplete_settings_are_named(environment, sentence, tmp_path):
    with pytest.raises(ConfigError, match=sentence):
        observers.mongo_settings(environment, tmp_path / NO_FILE)
