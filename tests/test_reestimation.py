import json

import pytest

from deep_bottleneck.config import Config
from deep_bottleneck.errors import ConfigError, RecordError
from deep_bottleneck.reestimation import reestimate


@pytest.fixture
def record(tmp_path):
    config = Config.parse({"calculate_mi_for": ["test"], "seed": 1})
    (tmp_path / "config.json").write_text(json.dumps(config.defaults()))
    artifacts = ["information_measures_upper_0.1_test"]
    (tmp_path / "run.json").write_text(json.dumps({"artifacts": artifacts}))
    (tmp_path / f"{artifacts[0]}.csv").touch()
    return tmp_path


def test_without_activations_there_is_nothing_to_estimate_from(record):
    with pytest.raises(RecordError, match='"keep_activations": true'):
        reestimate(record, ["mi_estimator.lower"])


def test_no_table_is_replaced(record):
    with pytest.raises(ConfigError, match=r"has been estimated with upper_0\.1 already"):
        reestimate(record, [["mi_estimator.upper", 0.1]])


def test_an_unknown_estimator_is_named(record):
    with pytest.raises(ConfigError, match=r"did you mean mi_estimator\.upper"):
        reestimate(record, ["mi_estimator.uper"])


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [("run.json", None, "there is no run.json"), ("config.json", "{", "cannot be read")],
)
def test_a_broken_record_says_what_is_wrong(record, tmp_path, name, content, sentence):
    (tmp_path / name).unlink()
    if content:
        (tmp_path / name).write_text(content)

    with pytest.raises(RecordError, match=sentence):
        reestimate(record, ["mi_estimator.lower"])
