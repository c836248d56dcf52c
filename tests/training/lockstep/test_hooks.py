"""Batches and tests that somebody wants to hear of are launched one by one, to the same effect."""

import keras
import numpy as np
import pytest

ROUNDING = 1e-5


class Hears:
    """Notes what it hears."""

    def __init__(self, batches=True, tests=True, models=()):
        self.hears_batches, self.hears_tests = batches, tests
        self.models = models
        self.heard, self.logs = [], {}

    def on_train_batch_begin(self, index):
        self.heard.append(("train begins", index))

    def on_train_batch_end(self, index, logs):
        self.heard.append(("train ends", index))
        self.logs["train", index] = logs

    def on_test_begin(self):
        self.heard.append("test begins")

    def on_test_batch_begin(self, index):
        self.heard.append(("test begins", index))

    def on_test_batch_end(self, index, logs):
        self.heard.append(("test ends", index))

    def on_test_end(self, logs):
        self.heard.append("test ends")
        self.logs["test"] = logs


BATCHES = [(f"train {what}", index) for index in range(4) for what in ("begins", "ends")]
TESTS = ["test begins", ("test begins", 0), ("test ends", 0), "test ends"]


@pytest.mark.parametrize(
    ("of_batches", "of_tests", "heard"),
    [(True, True, BATCHES + TESTS), (True, False, BATCHES), (False, True, TESTS)],
)
def test_a_listener_hears_what_it_wants_to(make_models, group, values, of_batches, of_tests, heard):
    models, unheard = make_models(2), make_models(2)
    listener = Hears(of_batches, of_tests)
    listened, quiet = group(models), group(unheard)

    logs = listened.train_epoch(0, listener)
    expected = quiet.train_epoch(0)

    assert listener.heard == heard
    for name, of_runs in expected.items():
        np.testing.assert_allclose(logs[name], of_runs, atol=ROUNDING)
    for one in (listened, quiet):
        one.release()
    for ours, theirs in zip(models, unheard, strict=True):
        np.testing.assert_allclose(values(ours), values(theirs), atol=ROUNDING)


def test_the_logs_of_a_batch_are_those_of_model_fit(make_models, group, model_fit):
    listener, of_fit = Hears(), []
    group(make_models(1)).train_epoch(0, listener)

    note = keras.callbacks.LambdaCallback(on_train_batch_end=lambda _, logs: of_fit.append(logs))
    model_fit(make_models(1)[0], 0, 1, [note])

    for index, logs in enumerate(of_fit):
        for name, value in logs.items():
            ours = listener.logs["train", index][name]
            np.testing.assert_allclose(ours, [float(value)], atol=ROUNDING)


def test_a_run_that_is_stopped_in_the_middle_of_an_epoch_takes_no_more_steps(
    make_models, group, model_fit, values
):
    models, alone = make_models(2), make_models(2)
    for made in (*models, *alone):
        made.stop_training = False

    class Stops(Hears):
        def on_train_batch_end(self, index, logs):
            models[1].stop_training = models[1].stop_training or index == 1

    trained = group(models)
    logs = trained.train_epoch(0, Stops())
    trained.release()

    class StopsAlone(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = self.model.stop_training or batch == 1

    for run, callbacks in ((0, []), (1, [StopsAlone()])):
        history = model_fit(alone[run], run, 1, callbacks)
        np.testing.assert_allclose(values(models[run]), values(alone[run]), atol=ROUNDING)
        for name, (value,) in history.items():
            np.testing.assert_allclose(logs[name][run], value, atol=ROUNDING)


def test_weights_that_a_test_hook_sets_are_tested(make_models, group):
    models = make_models(2)

    class SetsToZero(Hears):
        def on_test_begin(self):
            for model in trained.models:
                model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])

    trained = group(models)
    logs = trained.train_epoch(0, SetsToZero(batches=False))

    # two classes alike
    np.testing.assert_allclose(logs["val_loss"], np.log(2) * np.ones(2), atol=ROUNDING)
