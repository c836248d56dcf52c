"""A callback that goes on is the callback that was cut short, or the log says what it is not."""

from collections import Counter
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import torch

from deep_bottleneck.training.checkpoint import Checkpoint, read, write
from deep_bottleneck.training.gathered import Gathered
from deep_bottleneck.training.recorder import Recorder


@pytest.fixture
def stored(tmp_path):
    """What a checkpoint holds of a callback's state."""

    def stored(state):
        write(Checkpoint(0, (), (), recorders=(state,)), tmp_path / "checkpoint.h5")
        return read(tmp_path / "checkpoint.h5").recorders[0]

    return stored


def begun(callback):
    gathered = Gathered(callback, set())
    gathered.begin()
    return gathered


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.callbacks.EarlyStopping("val_loss", min_delta=1e-3, patience=2),
        lambda: keras.callbacks.ReduceLROnPlateau("val_loss", patience=2, min_delta=1e-3),
    ],
    ids=["EarlyStopping", "ReduceLROnPlateau"],
)
def test_a_callback_that_waits_for_improvement_goes_on_waiting(make, make_models, stored, caplog):
    (model,) = make_models(1)
    losses = [1.0, 0.9, 0.8998, 0.8996, 0.8994, 0.8992, 0.8990]

    def seen(cut):
        """At which epochs training stops, or the learning rate sinks."""
        model.stop_training, model.optimizer.learning_rate = False, 1.0
        callback = prepared(make(), model)
        gathered = begun(callback)
        noticed = []
        for epoch, loss in enumerate(losses):
            if epoch == cut:
                kept = stored(gathered.state())
                rate = float(model.optimizer.learning_rate)
                callback = prepared(make(), model)
                model.optimizer.learning_rate = rate
                begun(callback).restore(kept)
            callback.on_epoch_end(epoch, {"val_loss": loss})
            noticed.append((model.stop_training, float(model.optimizer.learning_rate)))
        return noticed

    assert len(set(seen(None))) > 1
    assert seen(3) == seen(None)
    assert not caplog.messages


def prepared(callback, model):
    callback.set_model(model)
    callback.on_train_begin()
    return callback


class Gathering(keras.callbacks.Callback):
    """Gathers values of many kinds, and has parts that are none."""

    def __init__(self, path, compare=np.less):
        super().__init__()
        self.path, self.compare = path, compare
        self.folder = Path("own")
        self.pieces, self.seen, self.best = [], set(), None
        self.count = Counter()


def test_callbacks_give_what_they_gathered_and_keep_their_parts(stored):
    first, second = Gathering("a"), Gathering("a")
    gathered = begun(first)
    first.pieces = [pd.DataFrame({"a": [1]})] * 2
    first.seen = {("x", 1), None}
    first.best = [torch.full((2,), 5.0)]
    first.compare = keras.ops.greater
    first.folder = Path("other")
    begun(second).restore(stored(gathered.state()))

    assert len(second.pieces) == 2
    pd.testing.assert_frame_equal(second.pieces[1], first.pieces[1])
    assert second.seen == first.seen
    assert torch.equal(second.best[0], first.best[0])
    assert second.compare is keras.ops.greater
    assert second.folder == Path("own")


def test_what_is_left_out_is_named_once(caplog):
    told = set()
    for callback in (Gathering("a"), Gathering("b")):
        gathered = Gathered(callback, told)
        gathered.begin()
        gathered.state()
        callback.folder, callback.compare = Path("other"), lambda a, b: a < b
        gathered.state()
        gathered.state()

    named = [message.split()[4] for message in caplog.messages]
    assert sorted(named) == ["compare", "count", "folder"]
    assert all("Gathering" in message for message in caplog.messages)


def test_a_checkpoint_says_no_path_to_write_to(caplog):
    callback = Gathering("own.csv")
    begun(callback).restore({"path": "/etc/passwd", "best": "any text"})

    assert callback.path == "own.csv"
    assert callback.best == "any text"
    assert "path of" in caplog.text


def test_a_recorder_says_what_it_has_gathered(stored, caplog):
    class Recording(Recorder):
        def __init__(self):
            super().__init__()
            self.unseen = object()
            self.seen = []

        def state(self):
            return {"seen": self.seen}

        def restore(self, state):
            self.seen = state["seen"]

    first, second = Recording(), Recording()
    first.seen.append(3)
    begun(second).restore(stored(begun(first).state()))

    assert second.seen == [3]
    assert not caplog.messages


def test_a_recorder_that_says_nothing_is_known_by_its_attributes(stored, caplog):
    class Recording(Recorder):
        def __init__(self):
            super().__init__()
            self.unseen = object()
            self.seen = []

    first, second = Recording(), Recording()
    first.seen.append(3)
    begun(second).restore(stored(begun(first).state()))

    assert second.seen == [3]
    assert ["unseen" in message for message in caplog.messages] == [True]


def test_a_log_that_is_appended_to_goes_on(tmp_path, make_models, stored):
    def log(epochs, gathered=None):
        callback = prepared(keras.callbacks.CSVLogger(tmp_path / "log.csv", append=True), model)
        own = begun(callback)
        if gathered is not None:
            own.restore(gathered)
        for epoch in epochs:
            callback.on_epoch_end(epoch, {"loss": 1.0})
        kept = stored(own.state())
        callback.on_train_end()
        return kept

    (model,) = make_models(1)
    log([1], log([0]))

    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert [line.partition(",")[0] for line in lines] == ["epoch", "0", "1"]
