"""Training that is cut short and goes on is training that was not cut short."""

import os
import signal
import time

import keras
import numpy as np
import pytest

from deep_bottleneck.config import Config
from deep_bottleneck.errors import RecordError
from deep_bottleneck.measuring.information_tables import InformationTables
from deep_bottleneck.pipeline.plan import make_plan
from deep_bottleneck.pipeline.run import run_experiment
from deep_bottleneck.training.batches import Batches
from deep_bottleneck.training.continuation import Checkpoints
from deep_bottleneck.training.ensemble import Ensemble
from deep_bottleneck.training.lockstep import obstacles
from deep_bottleneck.training.lockstep.compiled import CompiledGroup
from deep_bottleneck.training.memory import bytes_of_data, bytes_per_run
from deep_bottleneck.training.preemption import Preemption, TimeIsUp
from deep_bottleneck.training.recorder import Recorder


class Notes(Recorder):
    """Adds up what it is told, an epoch late, and asks for the end after an epoch."""

    def __init__(self, preemption=None, end_after=None):
        super().__init__()
        self.preemption, self.end_after = preemption, end_after
        self.seen = []
        self.left_to_do = list

    def on_group_epoch_end(self, epoch, group, logs, stopping):
        self.settle()
        losses = zip(group.runs, logs["loss"], strict=True)
        new = [(run, epoch, float(loss)) for run, loss in losses]
        self.left_to_do = lambda: self.seen.extend(new)
        if self.preemption and (group.runs[-1], epoch) == self.end_after:
            self.preemption.requested = True

    def settle(self):
        self.left_to_do()
        self.left_to_do = list

    def on_train_end(self, logs=None):
        self.settle()


class Falling(keras.callbacks.Callback):
    """Halves the learning rate with every third epoch, counting for itself."""

    def __init__(self, stop_at):
        super().__init__()
        self.stop_at = stop_at

    def on_train_begin(self, logs=None):
        self.count = 0

    def on_epoch_end(self, epoch, logs=None):
        self.count += 1
        if self.count % 3 == 0:
            rate = self.model.optimizer.learning_rate
            rate.assign(rate * 0.5)
        if epoch == self.stop_at:
            self.model.stop_training = True


@pytest.fixture
def fit(make_models, tiny_dataset, tmp_path):
    """Trains five runs, of which some stop early, perhaps in two pieces."""

    def fit(end_after=None, memory=None):
        models, notes, folder = None, None, None
        for ends in [end_after, None] if end_after else [None]:
            models = make_models(5)
            preemption = Preemption()
            before, folder = folder, tmp_path / f"{end_after}_{ends}"
            folder.mkdir()
            checkpoints = Checkpoints(folder, preemption, before)
            notes = Notes(preemption, ends)
            callbacks = [[Falling(stop_at)] for stop_at in (3, 9, 4, 3, 9)]
            arguments = {"callbacks": callbacks, "recorders": [notes], "checkpoints": checkpoints}
            ensemble = Ensemble(models, seed=1, memory=memory)
            if ends:
                with pytest.raises(TimeIsUp):
                    ensemble.fit(tiny_dataset, 8, 16, **arguments)
            else:
                ensemble.fit(tiny_dataset, 8, 16, **arguments)
        return notes.seen, [model.get_weights() for model in models]

    return fit


def same(first, second):
    seen, weights = first
    assert sorted(seen) == sorted(second[0])
    for ours, theirs in zip(weights, second[1], strict=True):
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("end_after", [(4, 0), (4, 3), (4, 5), (4, 7)])
def test_lockstep_goes_on_bit_for_bit(fit, end_after):
    same(fit(end_after), fit())


@pytest.mark.parametrize(
    "end_after",
    [
        (1, 6),
        *(pytest.param(end, marks=pytest.mark.slow) for end in [(1, 1), (3, 3), (2, 4), (4, 2)]),
    ],
)
def test_groups_go_on_bit_for_bit(fit, end_after, make_models, tiny_dataset):
    batches = Batches(len(tiny_dataset.train), 16, None, seed=1)
    of_run = bytes_per_run(make_models(1)[0], tiny_dataset, batches)
    two_at_a_time = bytes_of_data(tiny_dataset) + 2 * of_run

    same(fit(end_after, two_at_a_time), fit(None, two_at_a_time))


@pytest.mark.parametrize("end_after", [(0, 1), (0, 3), (2, 2), (4, 7)])
def test_one_run_after_the_other_goes_on_bit_for_bit(fit, end_after, monkeypatch):
    monkeypatch.setattr(obstacles, "obstacle", lambda models: "the test wants it")

    same(fit(end_after), fit())


class Record:
    def __init__(self, folder):
        self.folder = folder
        self.metrics = {}

    def log_scalar(self, name, value, step):
        self.metrics.setdefault(name, []).append((step, value))

    def add_artifact(self, filename, name):
        pass


def experiment(folder, before=None, preemption=None, **changes):
    config = Config.parse(
        {
            "epochs": 6,
            "architecture": [4, 3],
            "n_runs": 2,
            "seed": 3,
            "dataset": "datasets.iris",
            "batch_size": 32,
            "callbacks": ["callbacks.gradient_noise", "callbacks.weight_graph_information"],
            "plotters": [],
            **changes,
        }
    )
    folder.mkdir()
    # as in a process of its own, where the names of layers count from the beginning
    keras.utils.clear_session()
    record = Record(folder)
    run_experiment(config, make_plan(config), record, folder, preemption, before)
    return record


def tables(record):
    return {path.name: path.read_bytes() for path in record.folder.glob("*.csv")}


class Impatient(Preemption):
    """Its time is up at the third epoch's end, or as soon as nobody trains any more."""

    def __init__(self, after_training=False):
        super().__init__()
        self.after_training = after_training
        self.epochs = 0

    def end_if_requested(self):
        self.epochs += 1
        if self.requested or (self.epochs == 3 and not self.after_training):
            raise TimeIsUp


@pytest.fixture
def every_epoch(monkeypatch):
    monkeypatch.setattr(Checkpoints, "due", lambda self, at_end: True)


@pytest.mark.slow
@pytest.mark.parametrize("keep", [True, False], ids=["recorded", "measured while it trained"])
def test_tables_and_metrics_of_a_resumed_experiment_are_those_of_a_whole_one(
    tmp_path, every_epoch, keep
):
    whole = experiment(tmp_path / "whole", keep_activations=keep)
    with pytest.raises(TimeIsUp):
        experiment(tmp_path / "first", preemption=Impatient(), keep_activations=keep)

    resumed = experiment(tmp_path / "second", before=tmp_path / "first", keep_activations=keep)

    assert len(tables(whole)) == 6
    assert tables(resumed) == tables(whole)
    assert resumed.metrics == whole.metrics
    assert not list(tmp_path.glob("*/checkpoint*"))
    assert bool(list(tmp_path.glob("second/*.h5"))) is keep


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "keep"),
    [("replay", True), ("store", False)],
    ids=["from a recording", "while it trained"],
)
def test_an_experiment_that_only_needs_to_be_measured_is_not_trained_again(
    tmp_path, every_epoch, monkeypatch, name, keep
):
    whole = experiment(tmp_path / "whole", keep_activations=keep)

    def too_late(*arguments):
        raise TimeIsUp

    with monkeypatch.context() as patch, pytest.raises(TimeIsUp):
        patch.setattr(InformationTables, name, too_late)
        experiment(tmp_path / "first", keep_activations=keep)
    monkeypatch.setattr(CompiledGroup, "train_epoch", too_late)
    resumed = experiment(tmp_path / "second", before=tmp_path / "first", keep_activations=keep)

    assert tables(resumed) == tables(whole)


@pytest.mark.parametrize(
    ("models", "callbacks"),
    [({"architecture": [6, 3]}, 1), ({"optimizer": "sgd"}, 1), ({}, 0), ({}, 2)],
    ids=["another model", "another optimizer", "no callback", "a callback more"],
)
def test_one_of_another_experiment_starts_anew(
    make_models, tiny_dataset, tmp_path, caplog, models, callbacks
):
    def fit(folder, before=None, requested=False, callbacks=1, **changes):
        folder.mkdir()
        preemption, notes = Preemption(), Notes()
        preemption.requested = requested
        Ensemble(make_models(1, **changes), seed=1).fit(
            tiny_dataset,
            2,
            50,
            callbacks=[[Falling(9)] * callbacks],
            recorders=[notes],
            checkpoints=Checkpoints(folder, preemption, before),
        )
        return notes.seen

    with pytest.raises(TimeIsUp):
        fit(tmp_path / "before", requested=True)
    again = fit(tmp_path / "again", tmp_path / "before", callbacks=callbacks, **models)

    assert again == fit(tmp_path / "anew", callbacks=callbacks, **models)
    assert "another model or other callbacks: training starts anew" in caplog.text


class Forgetful(Notes):
    """Does not say the same as it takes back, as one of another version may not."""

    def state(self):
        return {"seen": 0}

    def restore(self, state):
        self.seen = state["noted"]


def test_one_that_the_recorders_cannot_take_back_is_in_nobodys_way_again(
    make_models, tiny_dataset, tmp_path
):
    def fit(number, requested=False):
        folder = tmp_path / str(number)
        folder.mkdir()
        preemption, notes = Preemption(), Forgetful()
        preemption.requested = requested
        before = tmp_path / str(number - 1) if number > 1 else None
        checkpoints = Checkpoints(folder, preemption, before)
        Ensemble(make_models(1), seed=1).fit(
            tiny_dataset, 2, 50, callbacks=[[]], recorders=[notes], checkpoints=checkpoints
        )
        return [epoch for _, epoch, _ in notes.seen]

    with pytest.raises(TimeIsUp):
        fit(1, requested=True)
    with pytest.raises(RecordError, match="the next --resume goes on without it"):
        fit(2)

    assert [path.name for path in tmp_path.glob("*/checkpoint*")] == ["checkpoint_useless.h5"]
    assert fit(3) == [0, 1]


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM])
def test_a_signal_ends_the_experiment_at_once_or_at_the_end_of_the_epoch(number):
    preemption = Preemption()
    before = signal.getsignal(number)

    with preemption.heard(), pytest.raises(TimeIsUp), preemption.at_epoch_ends():
        os.kill(os.getpid(), number)
        time.sleep(0.01)
        assert preemption.requested
        preemption.end_if_requested()
    with Preemption().heard(), pytest.raises(TimeIsUp):
        os.kill(os.getpid(), number)
        time.sleep(1)

    assert signal.getsignal(number) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_an_epoch_that_takes_too_long_is_cut_short(monkeypatch):
    monkeypatch.setattr("deep_bottleneck.training.preemption.PATIENCE_SECONDS", 0.05)
    preemption = Preemption()

    with preemption.heard(), pytest.raises(TimeIsUp), preemption.at_epoch_ends():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
