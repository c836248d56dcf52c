"""What recorders have gathered goes on with them."""

import importlib
import inspect
import pkgutil

import numpy as np
import pandas as pd
import pytest
from notes import Notes

from deep_bottleneck import callbacks
from deep_bottleneck.callbacks.efficiency import EfficiencyRecorder
from deep_bottleneck.callbacks.measures import MeasureRecorder
from deep_bottleneck.callbacks.metrics_logger import MetricsLogger
from deep_bottleneck.callbacks.sacred_metrics_logger import SacredMetricsLogger
from deep_bottleneck.training.gathered import Gathered, Stateful
from deep_bottleneck.training.plain_values import is_plain
from deep_bottleneck.training.recorder import Recorder

MODULES = [module.name for module in pkgutil.iter_modules(callbacks.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_every_recorder_says_what_it_has_gathered(name):
    module = importlib.import_module(f"deep_bottleneck.callbacks.{name}")
    for kind in vars(module).values():
        if (
            inspect.isclass(kind)
            and issubclass(kind, Recorder)
            and kind.__module__ == module.__name__
        ):
            assert issubclass(kind, Stateful)


def begun_again(make, use):
    """A recorder that has been used, and another that goes on from it."""
    first, second = make(), make()
    use(first)
    state = Gathered(first, set()).state()
    Gathered(second, set()).restore(state)
    assert all(map(is_plain, first.state().values()))
    return first, second


def test_a_recorder_of_measures_keeps_rows_names_and_what_it_told(tiny_dataset, caplog):
    notes = Notes()

    def use(recorder):
        recorder.keep(0, [0, 1], -1, "total", {"scale": np.array([1.5, np.nan])})
        recorder.tell_once((0, "EstimationError"), "scale is NaN")

    _, second = begun_again(lambda: MeasureRecorder(notes, notes, bool, "noise"), use)
    second.tell_once((0, "EstimationError"), "scale is NaN")
    second.on_train_end()

    assert caplog.messages == ["noise: scale is NaN"]
    assert notes.tables["noise"]["name"].tolist() == ["total", "total"]
    assert notes.metrics == {"noise.total.scale": {0: 1.5}}


def test_one_that_has_recorded_nothing_goes_on_with_nothing(tiny_dataset):
    notes = Notes()

    _, second = begun_again(
        lambda: EfficiencyRecorder(notes, notes, tiny_dataset, bool, 2), lambda recorder: None
    )
    second.on_train_end()

    assert not notes.tables


class Group:
    runs = (0, 1)


def test_loggers_go_on_with_what_is_not_written_yet():
    class Writer(Notes):
        def write_metrics(self, first, metrics):
            self.written = pd.DataFrame({name: v[:, 1] for name, v in metrics.items()}), first

    writer = Writer()
    logs = {"loss": np.array([0.5, 0.25], np.float32)}
    end = np.array([False, False])

    def use(recorder):
        recorder.on_group_epoch_end(0, Group(), logs, end)

    _, metrics = begun_again(lambda: MetricsLogger(writer, 3, 2), use)
    metrics.on_train_end()
    _, means = begun_again(lambda: SacredMetricsLogger(writer, 3), use)
    means.on_train_end()

    table, first = writer.written
    assert first == 0
    assert table["loss"].tolist() == [0.25]
    assert writer.metrics == {"training.loss": {0: 0.375}}
