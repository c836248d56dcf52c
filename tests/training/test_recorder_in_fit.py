"""A recorder is a callback of any `model.fit`."""

import keras
import numpy as np
import pytest

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.training.recorder import Recorder, ScheduledRecorder


class Outputs(ScheduledRecorder):
    """Keeps what the last layer makes of some examples."""

    def __init__(self, examples, schedule):
        super().__init__(schedule)
        self.examples = examples
        self.seen = {}

    def record(self, epoch, group, due):
        self.seen[epoch] = group.activations(self.examples)[-1][due]


class Losses(Recorder):
    def __init__(self):
        super().__init__()
        self.heard = []

    def on_group_epoch_end(self, epoch, group, logs, stopping):
        self.heard.append((epoch, group.runs, logs["loss"].shape, stopping.tolist()))


def fit(model, dataset, *callbacks, epochs=3):
    train = dataset.train
    model.fit(
        train.examples, train.one_hot_labels, epochs=epochs, callbacks=list(callbacks), verbose=0
    )


def test_it_records_the_network_as_a_group_of_one_run(make_models, tiny_dataset):
    (model,) = make_models(1)
    examples = tiny_dataset.test.examples
    recorder = Outputs(examples, lambda epoch: epoch == 0)
    beginning = model.predict(examples, verbose=0)

    fit(model, tiny_dataset, recorder)

    assert list(recorder.seen) == [0, 2], "the scheduled epoch, and the last"
    np.testing.assert_array_equal(recorder.seen[2][0], model.predict(examples, verbose=0))
    assert not np.allclose(recorder.seen[0][0], beginning)


def test_it_hears_where_training_ends(make_models, tiny_dataset):
    (model,) = make_models(1)
    losses = Losses()

    fit(model, tiny_dataset, keras.callbacks.TerminateOnNaN(), losses, epochs=2)

    assert losses.heard == [(0, [0], (1,), [False]), (1, [0], (1,), [True])]


def test_two_trainings_are_told_apart(make_models, tiny_dataset):
    one, other = make_models(2)
    recorder = Outputs(tiny_dataset.test.examples, lambda epoch: True)

    fit(one, tiny_dataset, recorder, epochs=1)
    fit(other, tiny_dataset, recorder, epochs=1)

    expected = other.predict(tiny_dataset.test.examples, verbose=0)
    np.testing.assert_array_equal(recorder.seen[0][0], expected)


def test_gradients_need_batches_that_are_known(make_models, tiny_dataset):
    class Gradients(Recorder):
        def on_group_epoch_end(self, epoch, group, logs, stopping):
            next(group.gradients(epoch))

    (model,) = make_models(1)

    with pytest.raises(ConfigError, match=r"the batches that .* trains on are not known"):
        fit(model, tiny_dataset, Gradients(), epochs=1)
