import threading
from types import SimpleNamespace

import jax
import keras
import numpy as np
import pytest

from deep_bottleneck.callbacks import (
    activity_logger,
    earlystopping_manual,
    gradient_logger,
    metrics_logger,
    progress_bar,
    sacred_metrics_logger,
)
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.measuring.activation_store import ActivationStore, ActivationWriter
from deep_bottleneck.training.batches import Batches
from deep_bottleneck.training.ensemble import Ensemble
from deep_bottleneck.training.lockstep import obstacles


class Scalars:
    """A record that keeps what is logged."""

    def __init__(self):
        self.values = {}

    def log_scalar(self, name, value, step):
        self.values.setdefault(name, {})[step] = value


class StopAfter(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = epoch == self.epoch


@pytest.fixture(params=["together", "one by one"])
def trained(request, monkeypatch, tmp_path, tiny_dataset, make_models):
    """Two runs with every recorder: run 0 stops after epoch 2, run 1 after epoch 5."""
    if request.param == "one by one":
        monkeypatch.setattr(obstacles, "obstacle", lambda models: "the test wants it")
    models, scalars = make_models(2), Scalars()
    path = tmp_path / "activations.h5"

    def even(epoch):
        return epoch % 2 == 0

    with ActivationWriter(path, tiny_dataset, [5, 3, 2], n_runs=2, epochs=6) as writer:
        recorders = [
            metrics_logger.load(writer, epochs=6, n_runs=2),
            sacred_metrics_logger.load(scalars, n_runs=2),
            activity_logger.load(writer, tiny_dataset, even),
            gradient_logger.load(writer, even),
        ]
        Ensemble(models, seed=1).fit(
            tiny_dataset, 6, 16, callbacks=[[StopAfter(2)], []], recorders=recorders
        )
    with ActivationStore(path) as store:
        yield models, scalars, store


def test_activations_of_the_last_epoch_are_the_models_outputs(trained, tiny_dataset):
    models, _, store = trained
    test = store.part("test")

    assert test.epochs == [0, 2, 4, 5]
    assert [test.runs(epoch).tolist() for epoch in test.epochs] == [[0, 1], [0, 1], [1], [1]]
    for run, last in ((0, 2), (1, 5)):
        row = test.runs(last).tolist().index(run)
        outputs = models[run].predict(tiny_dataset.test.examples, verbose=0)
        np.testing.assert_allclose(test.layer(last, 2)[row], outputs, atol=1e-5)


class SlowDisk:
    """A writer that writes nothing before it is told to go on."""

    def __init__(self, error=None):
        self.goes_on = threading.Event()
        self.written = []
        self._error = error

    def write_activations(self, epoch, runs, activations):
        assert self.goes_on.wait(timeout=60)
        if self._error:
            raise self._error
        self.written.append(epoch)


GROUP = SimpleNamespace(runs=[0], outputs=lambda examples: [np.zeros((1, 2, 3), np.float32)])


def test_training_goes_on_while_activations_are_written(tiny_dataset):
    disk = SlowDisk()
    logger = activity_logger.load(disk, tiny_dataset, lambda epoch: True)

    logger.record(0, GROUP, np.array([0]))
    at_once = list(disk.written)
    disk.goes_on.set()
    logger.record(1, GROUP, np.array([0]))
    logger.settle()

    assert at_once == []
    assert disk.written == [0, 1]
    logger.on_train_end()


def test_what_cannot_be_written_ends_training_at_the_next_epoch(tiny_dataset):
    disk = SlowDisk(OSError("no space"))
    disk.goes_on.set()
    logger = activity_logger.load(disk, tiny_dataset, lambda epoch: True)

    logger.record(0, GROUP, np.array([0]))

    with pytest.raises(OSError, match="no space"):
        logger.record(1, GROUP, np.array([0]))
    logger.on_train_end()


@pytest.mark.slow
def test_gradients_are_summarised_over_the_epochs_batches(trained, tiny_dataset):
    models, _, store = trained
    model, train = models[1], tiny_dataset.train
    order = Batches(len(train), 16, None, seed=1).order(run=1, epoch=5)
    weights, others = model.trainable_variables, model.non_trainable_variables

    def loss(values, chosen):
        predictions, _ = model.stateless_call(values, others, train.examples[chosen], training=True)
        targets = train.one_hot_labels[chosen]
        return keras.losses.categorical_crossentropy(targets, predictions).mean()

    by_batch = []
    for start in range(0, len(order), 16):
        kernel, *_ = jax.grad(loss)([w.value for w in weights], order[start : start + 16])
        by_batch.append(np.ravel(kernel))

    gradients = store.gradients().set_index(["run", "epoch", "layer"]).loc[(1, 5, 0)]

    assert gradients["mean_norm"] == pytest.approx(np.linalg.norm(np.mean(by_batch, 0)), rel=1e-3)
    assert gradients["std_norm"] == pytest.approx(np.linalg.norm(np.std(by_batch, 0)), rel=1e-3)
    kernel = model.layers[0].get_weights()[0]
    assert gradients["weight_norm"] == pytest.approx(np.linalg.norm(kernel), rel=1e-5)


def test_metrics_of_every_epoch_of_every_run_are_kept(trained, tiny_dataset):
    models, _, store = trained
    metrics = store.metrics()

    assert metrics.groupby("run")["epoch"].max().tolist() == [2, 5]
    loss, accuracy = models[1].evaluate(
        tiny_dataset.test.examples, tiny_dataset.test.one_hot_labels, verbose=0
    )
    last = metrics[metrics["run"] == 1].iloc[-1]
    assert (last["val_loss"], last["val_accuracy"]) == pytest.approx((loss, accuracy), abs=1e-5)


def test_logged_metrics_are_the_mean_over_the_runs_that_trained(trained):
    _, scalars, store = trained
    expected = store.metrics().groupby("epoch").mean()

    for name, column in (("training.loss", "loss"), ("test.accuracy", "val_accuracy")):
        assert list(scalars.values[name]) == [0, 1, 2, 3, 4, 5]
        np.testing.assert_allclose(list(scalars.values[name].values()), expected[column], rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [(("val_acuracy", 0.9), "cannot monitor 'val_acuracy'"), (("loss", "x"), "needs a number")],
)
def test_a_stop_that_cannot_be_is_named(arguments, sentence):
    with pytest.raises(ConfigError, match=sentence):
        earlystopping_manual.load(*arguments)


@pytest.mark.parametrize("together", [True, False])
def test_the_progress_of_training_counts_epochs_and_not_those_of_each_run(together):
    told = []
    progress = SimpleNamespace(advance=lambda steps, **shown: told.append((steps, shown["epoch"])))
    bar = progress_bar.load(progress, epochs=4, n_runs=2)
    logs = {"loss": np.zeros(1)}

    def epoch_of(number, runs, *stopping):
        group = SimpleNamespace(runs=runs)
        bar.on_group_epoch_end(number, group, logs, np.array([run in stopping for run in runs]))

    if together:
        epoch_of(0, [0, 1])
        epoch_of(1, [0, 1], 0)
        epoch_of(2, [1])
        epoch_of(3, [1], 1)
        # run 0 leaves two epochs out, so that from there on each of run 1 is half a one
        assert told == [(1, "0"), (2, "1"), (0, "2"), (1, "3")]
    else:
        for run in (0, 1):
            for number in range(4):
                epoch_of(number, [run])
        assert [steps for steps, _ in told] == [0, 1] * 4
    assert sum(steps for steps, _ in told) == 4
