import json
import re

import pytest

from deep_bottleneck.artifact_viewer import ArtifactLoader
from deep_bottleneck.errors import ConfigError, RecordError
from deep_bottleneck.eval_tools import ExperimentLoader


def test_an_experiment_is_found_by_its_id(loader):
    assert loader.find_by_id(3).config["activation_fn"] == "relu"
    assert loader.find_by_id("3") == loader.find_by_id(3)
    assert loader.find_by_ids([3, 1]).ids == [3, 1]


def test_an_id_that_is_not_there_is_named(loader):
    with pytest.raises(RecordError, match="no experiment"):
        loader.find_by_id(17)
    with pytest.raises(RecordError, match="There is no experiment 17, 18"):
        loader.find_by_ids([17, 1, 18])


def test_experiments_are_found_by_name_and_hyperparameter(loader):
    assert loader.find_all().ids == [1, 2, 3, 4]
    assert loader.find_by_name("^deep-").ids == [1, 2, 3, 4]
    assert loader.find_by_name("shallow").ids == []
    with pytest.raises(ValueError, match="is no regular expression"):
        loader.find_by_name("(")
    assert loader.find_by_config_key("activation_fn", "^(relu|fails)$").ids == [3, 4]
    assert loader.find_by_config_key("nested.depth", "1").ids == [1, 2]
    assert loader.find_by_config_key(key="config.activation_fn", value="^rel").ids == [3]
    with pytest.raises(ValueError, match=r"'\(tanh' is no regular expression"):
        loader.find_by_config_key("activation_fn", "(tanh")
    with pytest.raises(ValueError, match=r"'\(tanh' is no regular expression"):
        loader.find({"activation_fn": {"$regex": "(tanh"}})


def test_of_a_sweep_the_last_completed_experiment_of_each_name_is_found(loader):
    assert loader.find_sweep("deep-bottleneck").ids == [3]
    assert loader.find_sweep("deep").ids == []


def test_a_sweep_is_told_from_another_whose_name_begins_like_it(tmp_path):
    names = [
        "cohort_1",
        "cohort_1_epochs-10",
        "cohort_1_label_noise-0.5_seed-2",
        "cohort_1_long",
        "cohort_1_long_epochs-10",
        "cohort_1_seed",
    ]
    config = {"epochs": 10, "dataset_options": {"label_noise": 0.5}, "seed": 2}
    for id_, name in enumerate(names, 1):
        folder = tmp_path / str(id_)
        folder.mkdir()
        run = {"status": "COMPLETED", "experiment": {"name": name}}
        (folder / "run.json").write_text(json.dumps(run))
        (folder / "config.json").write_text(json.dumps(config))

    loader = ExperimentLoader(path=tmp_path)

    assert loader.find_sweep("cohort_1").ids == [1, 2, 3]
    assert loader.find_sweep("cohort_1_long").ids == [4, 5]


def test_the_latest_come_first(loader):
    assert loader.find_latest().ids == [4]
    assert loader.find_latest(2).ids == [4, 3]
    with pytest.raises(ValueError, match="n must be at least 1, not 0"):
        loader.find_latest(0)


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({"status": "COMPLETED"}, [1, 2, 3]),
        ({"config.epochs": {"$gt": 10}}, [3, 4]),
        ({"epochs": {"$gt": 10}, "status": {"$ne": "FAILED"}}, [3]),
        ({"metrics.test.accuracy": {"$gte": 0.5}}, [1, 2, 3, 4]),
        ({"test.accuracy": {"$lt": 0.1}}, []),
        ({"result.test": {"$in": [0.1, 0.3]}}, [1, 3]),
        ({"$or": [{"seed": 1}, {"seed": 4}]}, [1, 4]),
        ({"$nor": [{"seed": 1}, {"seed": 4}]}, [2, 3]),
        ({"activation_fn": {"$regex": "TANH", "$options": "i"}}, [1, 2]),
        ({"activation_fn": re.compile("^t")}, [1, 2]),
        ({"activation_fn": {"$not": {"$regex": "^t"}}}, [3, 4]),
        ({"no_such_key": {"$exists": False}}, [1, 2, 3, 4]),
        ({"no_such_key": None}, [1, 2, 3, 4]),
        ({"artifacts": "film"}, [1, 2, 3, 4]),
        ({"_id": {"$nin": [1, 2]}}, [3, 4]),
        ({"seed": True}, []),
    ],
)
def test_queries_are_mongodbs(loader, query, ids):
    assert loader.find(query).ids == ids


def test_keywords_are_what_must_be_equal(loader):
    assert loader.find(status="COMPLETED", epochs=20).ids == [3]


@pytest.mark.parametrize("query", [{"seed": {"$near": 1}}, {"$xor": [{"seed": 1}]}])
def test_an_unknown_operator_is_named(loader, query):
    with pytest.raises(ValueError, match=r"\$(near|xor) is no operator"):
        loader.find(query)


@pytest.mark.parametrize("operator", ["$in", "$nin"])
@pytest.mark.parametrize("value", [5, "tanh", None])
def test_an_operator_that_takes_a_list_says_so(loader, operator, value):
    with pytest.raises(ValueError, match=r"\$in and \$nin take a list of values, not"):
        loader.find({"epochs": {operator: value}})


def test_settings_come_from_the_environment(places, monkeypatch):
    monkeypatch.setenv("DEEP_BOTTLENECK_RUNS", str(places["local"]["path"]))
    assert "FolderStore" in repr(ExperimentLoader().store)

    monkeypatch.setenv("MONGO_URI", places["database"]["mongo_uri"])
    loader = ExperimentLoader(db_name=places["database"]["db_name"])
    assert loader.find_all().ids == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"mongo_uri": "mongodb://a", "path": "runs"}, ValueError, "either a database"),
        ({"mongo_uri": "http://a"}, ConfigError, "not a MongoDB address"),
        ({"path": "no such folder"}, RecordError, "no such folder is no folder"),
        ({"mongo_uri": "mongodb://me:secret@127.0.0.1:9"}, RecordError, "127.0.0.1:9 cannot"),
    ],
)
def test_where_there_is_nothing_the_loader_says_so(arguments, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        ExperimentLoader(**arguments)
    assert "secret" not in str(caught.value)


def test_metrics_are_found_by_what_they_were_called(loader):
    assert loader.find({"metrics.validation.accuracy": {"$gte": 0.5}}).ids == [1, 2, 3, 4]
    table = loader.find_all().project(["validation.accuracy", {"validation.accuracy": "best"}])
    assert table["validation.accuracy"].tolist() == [0.5] * 4
    assert table["validation.accuracy_best"].tolist() == [0.9375] * 4


def test_artifacts_by_id(place):
    assert ArtifactLoader(**place).load(2)["page"].content == "<p>a page</p>"
