import keras
import numpy as np
import pytest

from deep_bottleneck.callbacks import earlystopping_manual
from deep_bottleneck.models import feedforward, feedforward_batchnorm
from deep_bottleneck.training.checkpoint import Checkpoint
from deep_bottleneck.training.ensemble import Ensemble, groups, single_runs
from deep_bottleneck.training.lockstep import obstacles
from deep_bottleneck.training.recorder import Recorder

# Adam divides by the size of the gradients, which magnifies rounding; mistakes are 100 times larger
ROUNDING = 1e-3


class Notes(Recorder):
    """Keeps what a recorder is told."""

    def __init__(self):
        super().__init__()
        self.epochs = []
        self.ended = 0

    def on_group_epoch_end(self, epoch, group, logs, stopping):
        self.epochs.append((epoch, list(group.runs), logs, stopping.copy()))
        self.activations = group.activations(np.eye(4, dtype=np.float32))
        self.gradients = list(group.gradients(epoch))
        self.kernels = group.kernels()

    def on_train_end(self, logs=None):
        self.ended += 1

    def runs(self):
        return [runs for _, runs, _, _ in self.epochs]


class StopAt(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            self.model.stop_training = True


@pytest.fixture
def fit(tiny_dataset):
    def fit(models, epochs=4, **arguments):
        notes = Notes()
        Ensemble(models, seed=1).fit(tiny_dataset, epochs, 16, recorders=[notes], **arguments)
        return notes

    return fit


@pytest.fixture
def train_one_by_one(monkeypatch):
    """From when it is called, ensembles train with `model.fit`."""

    def train_one_by_one():
        monkeypatch.setattr(obstacles, "obstacle", lambda models: "the test wants it")

    return train_one_by_one


def weights(models):
    return np.concatenate([w.ravel() for model in models for w in model.get_weights()])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("load", "changes"),
    [
        (feedforward.load, {}),
        (feedforward.load, {"optimizer": "sgd"}),
        (feedforward.load, {"architecture": []}),
        (feedforward.load, {"max_norm_weights": 0.4}),
        (feedforward_batchnorm.load, {}),
        *((feedforward.load, {"activation_fn": name}) for name in ("relu6", "selu", "softsign")),
    ],
)
def test_lockstep_trains_what_model_fit_trains(fit, make_models, train_one_by_one, load, changes):
    together, alone = make_models(3, load, **changes), make_models(3, load, **changes)

    notes = fit(together)
    train_one_by_one()
    notes_alone = fit(alone)

    assert notes.runs() == [[0, 1, 2]] * 4
    assert notes_alone.runs() == [[0]] * 4 + [[1]] * 4 + [[2]] * 4
    np.testing.assert_allclose(weights(together), weights(alone), atol=ROUNDING)
    for name, values in notes.epochs[-1][2].items():
        last_of_each = [notes_alone.epochs[i][2][name][0] for i in (3, 7, 11)]
        np.testing.assert_allclose(values, last_of_each, atol=ROUNDING)


def test_recorders_see_the_same_either_way(fit, make_models, train_one_by_one):
    together = fit(make_models(1))
    train_one_by_one()
    alone = fit(make_models(1))

    for ours, theirs in zip(together.activations, alone.activations, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=ROUNDING)
    for ours, theirs in zip(together.kernels, alone.kernels, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=ROUNDING)
    assert len(together.gradients) == len(alone.gradients) == 4
    for batch, batch_alone in zip(together.gradients, alone.gradients, strict=True):
        for ours, theirs in zip(batch, batch_alone, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=ROUNDING)
    assert together.ended == alone.ended == 1


def test_activations_are_those_of_each_layer_with_a_kernel(fit, make_models):
    models = make_models(2)

    notes = fit(models)

    assert [layer.shape for layer in notes.activations] == [(2, 4, 5), (2, 4, 3), (2, 4, 2)]
    outputs = models[1].predict(np.eye(4, dtype=np.float32), verbose=0)
    np.testing.assert_allclose(notes.activations[-1][1], outputs, atol=ROUNDING)


def test_a_run_is_the_same_whatever_runs_beside_it(fit, make_models):
    few, many = make_models(2), make_models(9)

    fit(few)
    fit(many)

    np.testing.assert_allclose(weights(few), weights(many[:2]), atol=ROUNDING)


def test_the_same_seed_gives_the_same_weights_bit_for_bit(fit, make_models):
    first, second = make_models(3), make_models(3)

    fit(first)
    fit(second)

    np.testing.assert_array_equal(weights(first), weights(second))


@pytest.mark.slow
def test_a_run_that_stops_is_frozen_and_the_others_go_on(fit, make_models):
    stopped, free = make_models(4), make_models(4)
    stops = [1, 0, 99, 2]

    notes = fit(stopped, epochs=5, callbacks=[[StopAt(epoch)] for epoch in stops])
    fit(free, epochs=5)

    assert notes.runs() == [[0, 1, 2, 3], [0, 2, 3], [2, 3], [2], [2]]
    np.testing.assert_allclose(weights(stopped[2:3]), weights(free[2:3]), atol=ROUNDING)
    for run, last in ((0, 1), (1, 0), (3, 2)):
        short = make_models(4)
        fit(short, epochs=last + 1)
        np.testing.assert_allclose(weights([stopped[run]]), weights([short[run]]), atol=ROUNDING)


def test_training_ends_when_every_run_has_stopped(fit, make_models):
    notes = fit(make_models(2), epochs=50, callbacks=[[StopAt(1)], [StopAt(0)]])

    assert notes.runs() == [[0, 1], [0]]
    assert notes.epochs[-1][3].tolist() == [True]


def test_a_callback_can_change_one_runs_learning_rate_and_weights(fit, make_models):
    class Freeze(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.model.optimizer.learning_rate = 0.0
            self.model.set_weights([np.full_like(w, 0.5) for w in self.model.get_weights()])

    models, untouched = make_models(2), make_models(2)
    fit(models, callbacks=[[Freeze()], []])
    fit(untouched)

    assert np.all(weights(models[:1]) == 0.5)
    np.testing.assert_allclose(weights(models[1:]), weights(untouched[1:]), atol=ROUNDING)


def test_stock_callbacks_work(fit, make_models, tmp_path):
    models = make_models(2)
    callbacks = [
        [
            keras.callbacks.EarlyStopping("val_loss", patience=1, min_delta=10.0),
            keras.callbacks.CSVLogger(tmp_path / f"{run}.csv"),
            keras.callbacks.ModelCheckpoint(tmp_path / f"{run}.keras"),
            keras.callbacks.TerminateOnNaN(),
        ]
        for run in range(2)
    ]

    notes = fit(models, epochs=10, callbacks=callbacks)

    assert len(notes.epochs) == 2
    assert len((tmp_path / "1.csv").read_text().splitlines()) == 3
    saved = keras.models.load_model(tmp_path / "1.keras")
    np.testing.assert_array_equal(weights([saved]), weights(models[1:]))
    saved_moments = [v.numpy() for v in saved.optimizer.variables]
    for ours, theirs in zip(models[1].optimizer.variables, saved_moments, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs)


@pytest.mark.parametrize(("steps", "batches"), [(2, 2), (9, 9), (None, 4)])
def test_steps_per_epoch_are_the_batches_of_an_epoch(fit, make_models, steps, batches):
    notes = fit(make_models(1), steps_per_epoch=steps)

    assert len(notes.gradients) == batches


@pytest.mark.parametrize(
    ("monitor", "value", "epochs"), [("val_acc", 0.0, 1), ("loss", 1e9, 1), ("loss", 0.0, 6)]
)
def test_earlystopping_manual_stops_once_the_metric_passes(
    fit, make_models, monitor, value, epochs
):
    notes = fit(
        make_models(2),
        epochs=6,
        callbacks=[[earlystopping_manual.load(monitor, value)] for _ in range(2)],
    )

    assert len(notes.epochs) == epochs


def test_runs_take_turns_in_groups_of_a_size():
    turns = [(group.epoch, [*group.rows], [*group.waiting]) for group in groups(None, 5, 2)]

    assert turns == [(0, [0, 1], [2, 3, 4]), (0, [2, 3], [4]), (0, [4], [])]


@pytest.mark.parametrize(
    ("last", "in_groups", "one_by_one"),
    [
        (
            Checkpoint(7, (0, 1), (1,), (2, 3, 4)),
            [(7, [0, 1], [1]), (0, [2, 3], [2, 3]), (0, [4], [4])],
            [(7, [1]), (0, [2]), (0, [3]), (0, [4])],
        ),
        (Checkpoint(0, (), (), (4,)), [(0, [4], [4])], [(0, [4])]),
        (Checkpoint(0, (), ()), [], []),
    ],
    ids=["in the middle of a group", "between two", "at the end"],
)
def test_the_group_that_had_begun_comes_first(last, in_groups, one_by_one):
    turns = list(groups(last, 5, 2))

    assert [(turn.epoch, [*turn.rows], [*turn.training]) for turn in turns] == in_groups
    assert [(turn.epoch, [*turn.rows]) for turn in single_runs(last, 5)] == one_by_one
