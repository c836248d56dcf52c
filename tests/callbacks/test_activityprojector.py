import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from deep_bottleneck.callbacks import activityprojector
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.training.ensemble import Ensemble
from deep_bottleneck.training.layers import feature_extractor

ROOT = Path(__file__).resolve().parents[2]

pytest.importorskip("tensorboard", reason="tensorboard is not installed")


@pytest.fixture
def listed(tmp_path):
    """What TensorBoard reads of the list."""

    def listed():
        from google.protobuf import text_format
        from tensorboard.plugins import projector

        text = (tmp_path / "projector_config.pbtxt").read_text()
        return list(text_format.Parse(text, projector.ProjectorConfig()).embeddings)

    return listed


@pytest.mark.slow
def test_every_layer_of_every_run_at_the_end(tiny_dataset, make_models, tmp_path, listed):
    models = make_models(2)
    callback = activityprojector.load(tiny_dataset, str(tmp_path), embeddings_freq=0, n_examples=15)

    Ensemble(models, seed=0).fit(tiny_dataset, 3, 16, recorders=[callback])

    assert len(listed()) == 2 * 3
    for embedding in listed():
        run, epoch, layer = (int(embedding.tensor_name.split("_")[place]) for place in (1, 3, 5))
        assert epoch == 2
        expected = feature_extractor(models[run])(tiny_dataset.test.examples[:15])[layer]
        found = np.loadtxt(tmp_path / embedding.tensor_path, delimiter="\t", ndmin=2)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
        labels = np.loadtxt(tmp_path / embedding.metadata_path, dtype=int)
        np.testing.assert_array_equal(labels, tiny_dataset.test.labels[:15])


def test_again_after_so_many_epochs(tiny_dataset, make_models, tmp_path, listed):
    callback = activityprojector.load(tiny_dataset, str(tmp_path), "train", embeddings_freq=2)

    Ensemble(make_models(1), seed=0).fit(tiny_dataset, 4, 16, recorders=[callback])

    epochs = [embedding.tensor_name.split("_")[3] for embedding in listed()]
    assert epochs == ["0"] * 3 + ["2"] * 3 + ["3"] * 3
    assert len(np.loadtxt(tmp_path / "labels.tsv")) == 50


def test_without_arguments_each_experiment_has_its_folder(tiny_dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    for number in (3, 4):
        activityprojector.load(tiny_dataset, run=SimpleNamespace(_id=number))

    assert {path.name for path in (tmp_path / "logs").iterdir()} == {"3", "4"}


def test_tensorboard_serves_the_embeddings(tiny_dataset, make_models, tmp_path):
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
    from tensorboard.plugins.base_plugin import TBContext
    from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin
    from werkzeug.test import Client

    callback = activityprojector.load(tiny_dataset, str(tmp_path))
    Ensemble(make_models(1), seed=0).fit(tiny_dataset, 1, 16, recorders=[callback])

    plugin = ProjectorPlugin(TBContext(logdir=str(tmp_path), multiplexer=EventMultiplexer()))
    routes = plugin.get_plugin_apps()

    def get(route, **query):
        return Client(routes[route]).get("/", query_string={"run": ".", **query})

    embeddings = get("/info").json["embeddings"]
    assert [embedding["tensorShape"] for embedding in embeddings] == [[20, 5], [20, 3], [20, 2]]
    name = embeddings[1]["tensorName"]
    tensor = np.frombuffer(get("/tensor", name=name).data, np.float32)
    written = np.loadtxt(tmp_path / f"{name}.tsv", delimiter="\t")
    np.testing.assert_allclose(tensor.reshape(20, 3), written, rtol=1e-6)
    labels = get("/metadata", name=name, num_rows=100).text.split()
    assert labels == [str(label) for label in tiny_dataset.test.labels]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"part": "full"}, '"train" or "test" examples, not \'full\''),
        ({"embeddings_freq": -1}, "at least 0 as embeddings_freq, got -1"),
        ({"n_examples": 2.5}, "at least 1 as n_examples, got 2.5"),
        ({"log_dir": "/dev/null/logs"}, "cannot write into /dev/null/logs"),
    ],
)
def test_bad_arguments(tiny_dataset, tmp_path, arguments, message):
    with pytest.raises(ConfigError, match=message):
        activityprojector.load(tiny_dataset, **{"log_dir": str(tmp_path), **arguments})


def test_without_tensorboard_the_sentence_says_what_to_install(tiny_dataset, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.plugins", None)

    with pytest.raises(ConfigError, match=r"pip install -r requirements/tensorboard\.txt"):
        activityprojector.load(tiny_dataset, str(tmp_path))


@pytest.mark.slow
@pytest.mark.tensorflow
def test_keras_tensorboard_works_from_a_config(tmp_path):
    pytest.importorskip("tensorflow", reason="tensorflow is not installed")
    values = {
        "dataset": "datasets.iris",
        "epochs": 3,
        "n_runs": 2,
        "calculate_mi_for": [],
        "plotters": [],
        "callbacks": [["keras.callbacks.TensorBoard", [], {"log_dir": f"{tmp_path}/logs_{{run}}"}]],
    }
    (tmp_path / "config.json").write_text(json.dumps(values))
    environment = {**os.environ, "DEEP_BOTTLENECK_RUNS": str(tmp_path / "runs")}

    command = [sys.executable, "experiment.py", "with", str(tmp_path / "config.json")]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)

    assert result.returncode == 0, result.stderr
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for part in ("train", "validation"):
        accumulated = EventAccumulator(str(tmp_path / "logs_1" / part)).Reload()
        tags = accumulated.Tags()["tensors"]
        assert {"epoch_loss", "epoch_accuracy"} <= set(tags)
