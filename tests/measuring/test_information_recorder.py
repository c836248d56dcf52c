"""What is measured while networks train is what would be measured of a recording."""

import threading
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from deep_bottleneck.config import Config
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.measuring.activation_store import ActivationStore
from deep_bottleneck.measuring.estimators import can_stream
from deep_bottleneck.measuring.information_recorder import InformationRecorder
from deep_bottleneck.measuring.information_tables import InformationTables
from deep_bottleneck.mi_estimator import binning, binning_global, edge, kraskov, upper
from deep_bottleneck.pipeline.plan import make_plan
from deep_bottleneck.pipeline.run import run_experiment
from deep_bottleneck.training import memory

ESTIMATORS = [
    ["mi_estimator.binning", 0.3],
    ["mi_estimator.upper", 0.1],
    ["mi_estimator.edge", 1.0],
    ["mi_estimator.kraskov", 3],
    ["mi_estimator.renyi", 1.0],
    ["mi_estimator.noisy", 0.1],
    ["mi_estimator.binning_adaptive", 6],
]


class Record:
    def __init__(self):
        self.artifacts = []

    def log_scalar(self, name, value, step):
        pass

    def add_artifact(self, filename, name):
        self.artifacts.append(name)


@pytest.fixture
def run(tmp_path):
    def run(name, **changes):
        values = {
            "epochs": 5,
            "architecture": [4, 3],
            "n_runs": 3,
            "seed": 3,
            "dataset": "datasets.iris",
            "batch_size": 32,
            "learning_rate": 0.01,
            "plotters": [],
            "device": "cpu",
            **changes,
        }
        config = Config.parse(values)
        folder = tmp_path / name
        folder.mkdir()
        record = Record()
        run_experiment(config, make_plan(config), record, folder)
        return folder, record

    return run


def tables(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.csv")}


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"estimator": ESTIMATORS, "calculate_mi_for": ["train", "full"]},
        # runs that stop at different epochs, some of them not scheduled
        {
            "epochs": 70,
            "n_runs": 4,
            "learning_rate": 0.02,
            "callbacks": [["callbacks.earlystopping_manual", ["val_accuracy", 0.75]]],
        },
        {"activation_fn": "relu", "model": "models.feedforward_batchnorm"},
    ],
    ids=["estimators", "early stops", "batch normalisation"],
)
def test_tables_are_those_of_a_recording_to_the_last_bit(run, changes):
    streamed, record = run("streamed", **changes)
    stored, other_record = run("stored", keep_activations=True, **changes)

    assert not (streamed / "activations.h5").exists()
    assert record.artifacts == other_record.artifacts
    assert len(tables(streamed)) == len(tables(stored)) > 3
    assert tables(streamed) == tables(stored)


@pytest.mark.slow
def test_groups_of_runs_give_the_tables_of_all_at_once(run, monkeypatch):
    whole, _ = run("whole")
    monkeypatch.setattr(memory, "runs_at_a_time", lambda *arguments: 2)
    grouped, _ = run("grouped")

    for name in ("information_measures_train.csv", "trust_test.csv"):
        one, other = (pd.read_csv(folder / name) for folder in (whole, grouped))
        pd.testing.assert_frame_equal(one, other, atol=1e-6)


def test_rows_are_written_while_networks_train(run, monkeypatch, tmp_path):
    def killed(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(InformationTables, "store", killed)
    with pytest.raises(KeyboardInterrupt):
        run("killed")

    rows = pd.read_csv(tmp_path / "killed" / "information_measures_test.csv")
    assert sorted(rows["epoch"].unique()) == [0, 1, 2, 3, 4]
    assert len(rows) == 5 * 3 * 3
    assert rows["MI_XM"].notna().all()


class SlowTables:
    """Tables of the test examples that go on to the next layer when they are told to."""

    part = "test"

    def __init__(self):
        self.begins, self.goes_on = threading.Event(), threading.Event()
        self.observed = []

    def observe(self, epoch, runs, layers, telling):
        for layer in layers:
            self.begins.set()
            assert self.goes_on.wait(timeout=60)
            self.observed.append((epoch, tuple(layer.shape)))


GROUP = SimpleNamespace(
    runs=[0], outputs=lambda examples: [np.zeros((1, 20, 3)), np.zeros((1, 20, 2))]
)


@pytest.mark.parametrize(
    ("by_an_error", "observed"),
    [(False, [(0, (1, 20, 3)), (0, (1, 20, 2))]), (True, [(0, (1, 20, 3))])],
    ids=["its end", "an error"],
)
def test_training_goes_on_meanwhile_and_ends_by(tiny_dataset, by_an_error, observed):
    slow = SlowTables()
    recorder = InformationRecorder([slow], tiny_dataset, lambda epoch: True, 5, False)

    recorder.on_group_epoch_end(0, GROUP, {}, np.array([False]))
    assert slow.begins.wait(timeout=60)
    at_once = list(slow.observed)
    if by_an_error:
        recorder.give_up()
    slow.goes_on.set()
    recorder.on_train_end()

    assert at_once == []
    assert slow.observed == observed


def test_a_mistake_of_an_estimator_ends_training_at_the_next_epoch(tiny_dataset):
    def mistaken(*arguments):
        raise ConfigError('"estimator": gave nothing')

    tables = SimpleNamespace(part="train", observe=mistaken)
    recorder = InformationRecorder([tables], tiny_dataset, lambda epoch: True, 5, False)

    recorder.on_group_epoch_end(0, GROUP, {}, np.array([False]))

    with pytest.raises(ConfigError, match="gave nothing"):
        recorder.on_group_epoch_end(1, GROUP, {}, np.array([False]))
    recorder.on_train_end()


def test_nothing_but_metrics_is_stored_meanwhile(run, monkeypatch, tmp_path):
    def look(stream, metrics):
        with ActivationStore(tmp_path / "looked" / "activations.h5") as store:
            assert store.part("train").epochs == []
        assert len(metrics) == 15
        raise KeyboardInterrupt

    monkeypatch.setattr(InformationTables, "store", look)
    with pytest.raises(KeyboardInterrupt):
        run("looked")


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"plotters": ["plotter.activations"]},
        {"estimator": [["mi_estimator.binning_global", 10]], "activation_fn": "relu"},
    ],
    ids=["a plotter", "an estimator"],
)
def test_whoever_needs_a_recording_gets_one(run, monkeypatch, changes):
    replayed = []
    replay = InformationTables.replay

    def noted(tables, recording):
        replayed.append((tables.part, list(recording.epochs)))
        replay(tables, recording)

    monkeypatch.setattr(InformationTables, "replay", noted)
    run("recorded", **changes)

    assert replayed == [(part, [0, 1, 2, 3, 4]) for part in ("train", "test")]


def test_an_estimator_that_looks_at_all_epochs_cannot_stream():
    assert can_stream(binning.load(0.1))
    assert can_stream(upper.load(0.1))
    assert can_stream(edge.load(1.0))
    assert can_stream(kraskov.load(3))
    assert can_stream(binning_global.load(30, "tanh"))
    assert not can_stream(binning_global.load(30, "relu"))


@pytest.mark.gpu
def test_a_gpu_s_tables_are_a_cpu_s_within_what_float32_explains(run):
    """Of a short training; binned values change where an activation lies at the edge of a bin."""
    estimators = [["mi_estimator.upper", 0.1], ["mi_estimator.lower", 0.1], ESTIMATORS[0]]
    changes = {"estimator": estimators, "learning_rate": 0.001}
    cpu, _ = run("cpu", **changes)
    gpu, _ = run("gpu", **{**changes, "device": "cuda"})
    again, _ = run("again", **{**changes, "device": "cuda"})

    for name, tolerance in (("upper_train", 1e-2), ("lower_train", 1e-2), ("binning_train", 0.2)):
        one, other, third = (
            pd.read_csv(folder / f"information_measures_{name}.csv") for folder in (cpu, gpu, again)
        )
        for column in ("MI_XM", "MI_YM"):
            np.testing.assert_allclose(one[column], other[column], atol=tolerance)
            np.testing.assert_allclose(third[column], other[column], atol=1e-6)
