"""One experiment for a program or a notebook, which gets what was stored."""

import json
from pathlib import Path

import pytest

import deep_bottleneck
from deep_bottleneck.errors import ConfigError, DeepBottleneckError

SMALL = {"dataset": "datasets.iris", "architecture": [3], "epochs": 2, "plotters": [], "seed": 0}


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEP_BOTTLENECK_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("DEEP_BOTTLENECK_OUTPUT", str(tmp_path / "output"))
    monkeypatch.delenv("MONGO_URI", raising=False)


def test_an_experiment_is_run_and_returned(capfd):
    experiment = deep_bottleneck.run(SMALL, epochs=3, activation_fn="relu")

    assert experiment.status == "COMPLETED"
    assert experiment.config["activation_fn"] == "relu"
    assert experiment.metrics["test.accuracy"].index.tolist() == [0, 1, 2]
    assert set(experiment.information_measures(part="test")["layer"]) == {0, 1}
    assert "config" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("config", "updates", "sentence"),
    [
        ({**SMALL, "epcohs": 3}, {}, 'unknown key "epcohs"'),
        (SMALL, {"epochs": 0}, '"epochs"'),
        (SMALL, {"epochs": object()}, "cannot be that"),
        ({**SMALL, "seed": {1, 2}}, {}, "a value that JSON cannot hold"),
        ("tishbi", {}, "did you mean tishby"),
        ({**SMALL, "grid": {"activation_fn": ["tanh", "relu"]}}, {}, "is a sweep of 2 experiments"),
    ],
)
def test_a_mistake_is_raised_before_anything_is_run(config, updates, sentence, tmp_path):
    with pytest.raises(ConfigError, match=sentence):
        deep_bottleneck.run(config, **updates)

    assert not (tmp_path / "output").exists()


def test_what_only_the_experiment_finds_is_raised_as_it_says_it():
    with pytest.raises(ConfigError, match="no_such_data_set"):
        deep_bottleneck.run(SMALL, dataset="no_such_data_set")


@pytest.mark.slow
def test_an_experiment_that_fails_says_why_and_where_its_log_is(tmp_path, monkeypatch):
    (tmp_path / "broken.py").write_text("def load(): raise OSError('the amplifier was off')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    with pytest.raises(DeepBottleneckError, match=r"the amplifier was off.*its log is .*1\.log"):
        deep_bottleneck.run(SMALL, dataset="broken")


@pytest.mark.slow
def test_it_is_a_launch_that_can_be_resumed_like_any_other(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(SMALL))

    experiment = deep_bottleneck.run(path)

    (kept,) = (tmp_path / "output").glob("mine_*/submission.json")
    (task,) = json.loads(kept.read_text())["tasks"]
    assert json.loads(Path(task["config"]).read_text()) == SMALL
    assert experiment.id == 1
