import numpy as np
import pytest

from deep_bottleneck.errors import EstimationError
from deep_bottleneck.interfaces import LayerInformation, MutualInformationEstimator
from deep_bottleneck.measuring.estimation import (
    COLUMNS,
    InformationTable,
    LayerActivations,
    estimate,
)
from deep_bottleneck.mi_estimator import binning


class Recorded:
    """Two layers of two runs at epochs 0 and 3; run 1 is gone by epoch 3."""

    labels = np.arange(16) % 2
    examples = np.arange(16.0)[:, None]
    epochs = (0, 3)
    n_layers = 2
    layer_names = ("first", "second")

    def runs(self, epoch):
        return np.array([0, 1]) if epoch == 0 else np.array([0])

    def layer(self, epoch, layer):
        values = np.arange(16.0)[None, :, None] if layer == 0 else np.zeros((1, 16, 3))
        values = np.repeat(values.astype(np.float32), len(self.runs(epoch)), axis=0)
        if layer == 1 and epoch == 0:
            values[1] = np.nan
        return values


class Silent:
    def __init__(self):
        self.steps = 0

    def advance(self, steps=1, **values):
        self.steps += steps


def test_one_row_for_each_run_epoch_and_layer_and_nan_with_a_reason(caplog):
    progress = Silent()

    table = estimate(binning.load(1.0), Recorded(), "test", progress)

    assert tuple(table.columns) == COLUMNS
    assert table[["run", "epoch", "layer"]].to_numpy().tolist() == [
        [0, 0, 0],
        [0, 0, 1],
        [0, 3, 0],
        [0, 3, 1],
        [1, 0, 0],
        [1, 0, 1],
    ]
    np.testing.assert_allclose(table["MI_XM"], [4, 0, 4, 0, 4, np.nan])
    np.testing.assert_allclose(table["MI_YM"], [1, 0, 1, 0, 1, np.nan])
    assert (table["estimator"] == "binning").all()
    assert (table["parameter"] == "bin width 1").all()
    assert (table["n_examples"] == 16).all()
    assert (table["ceiling"] == 4).all()
    assert "binning, bin width 1 left NaN" in caplog.text
    assert "epoch 0, layer 1: cannot bin values that are NaN" in caplog.text
    assert progress.steps == 2


def test_nothing_recorded_is_an_empty_table():
    class Nothing(Recorded):
        epochs = ()

    assert estimate(binning.load(1.0), Nothing(), "test", Silent()).empty


def test_a_value_of_its_own_may_be_undefined_and_each_reason_is_logged_once(caplog):
    class Half(MutualInformationEstimator):
        def estimate(self, activations, labels) -> LayerInformation:
            nan = np.full(len(activations), np.nan)
            reason = "I(X;M): the input is discrete"
            return LayerInformation(nan, np.ones_like(nan), 4.0, reasons=(reason,))

    table = estimate(Half(), Recorded(), "test", Silent())

    assert table["MI_XM"].isna().all()
    assert (table["MI_YM"] == 1).all()
    (record,) = caplog.records
    assert "left NaN in 4 places" in record.message
    assert "the first at epoch 0, layer 0: I(X;M): the input is discrete" in record.message


def test_a_mistake_in_an_estimator_is_not_hidden():
    class Broken(MutualInformationEstimator):
        def estimate(self, activations, labels) -> LayerInformation:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        estimate(Broken(), Recorded(), "test", Silent())


def test_an_estimator_that_never_answers_leaves_nan():
    class Undefined(MutualInformationEstimator):
        def estimate(self, activations, labels) -> LayerInformation:
            raise EstimationError("it is undefined")

    table = estimate(Undefined(), Recorded(), "test", Silent())

    assert table[["MI_XM", "MI_YM"]].isna().all(axis=None)


class Known(MutualInformationEstimator):
    """Answers for the layers of an epoch in turn."""

    def __init__(self, mi_xm, error=None):
        self.answers = iter(mi_xm)
        self.error = error

    def estimate(self, activations, labels) -> LayerInformation:
        value = np.full(len(activations), next(self.answers))
        error = None if self.error is None else np.full(len(activations), self.error)
        return LayerInformation(value, np.zeros_like(value), 4.0, error, error)


@pytest.mark.parametrize(
    ("values", "error", "violated"),
    [
        ([3.0, 2.0], None, [False, False]),
        ([2.0, 2.0 + 1e-6], None, [False, False]),
        ([2.0, 2.1], None, [False, True]),
        ([2.0, 2.1], 0.1, [False, False]),
        ([2.0, 2.1], 0.05, [False, True]),
        ([np.nan, 2.1], None, [False, False]),
    ],
)
def test_a_layer_that_exceeds_an_earlier_one_by_more_than_the_error_is_marked(
    values, error, violated
):
    table = estimate(Known(2 * values, error), Recorded(), "test", Silent())

    assert table["violates_dpi"].tolist() == 3 * violated


def test_an_estimator_may_look_at_the_whole_recording_first():
    class Counting(Known):
        def fitted(self, activations):
            return Known([len(activations.epochs)] * 4)

    table = estimate(Counting([]), Recorded(), "test", Silent())

    assert (table["MI_XM"] == 2).all()


def test_a_recording_that_does_not_fit_leaves_nan_with_the_reason(caplog):
    class Unfit(Known):
        def fitted(self, activations):
            raise EstimationError("the inputs are text")

    table = estimate(Unfit([]), Recorded(), "test", Silent())

    assert len(table) == 6
    assert table["MI_XM"].isna().all()
    assert "the inputs are text" in caplog.text


def test_some_epochs_with_other_labels():
    table = estimate(
        binning.load(1.0), Recorded(), "test", Silent(), epochs=[3], labels=np.zeros(16, int)
    )

    assert table["epoch"].tolist() == [3, 3]
    assert (table["MI_YM"] == 0).all()


class Thrifty(MutualInformationEstimator):
    """Answers 1, 2, 3, ... in an array that it writes over the next time."""

    def __init__(self):
        self.answer = np.zeros(1)

    def estimate(self, activations, labels) -> LayerInformation:
        self.answer += 1
        return LayerInformation(self.answer, self.answer, 9.0)


def test_what_an_estimator_writes_over_later_stays_in_the_table():
    table = estimate(Thrifty(), Recorded(), "test", Silent(), epochs=[3])

    assert table["MI_XM"].tolist() == [1.0, 2.0]


def test_an_epoch_that_is_forgotten_leaves_neither_rows_nor_reasons(caplog):
    recorded, table = Recorded(), InformationTable(binning.load(1.0), "test", Recorded.labels)
    for epoch in (3, 0):
        for layer in (0, 1):
            values = LayerActivations(recorded.layer(epoch, layer))
            table.observe(epoch, recorded.runs(epoch), layer, values)

    table.forget(0)

    assert table.table()["epoch"].tolist() == [3, 3]
    table.say_what_failed()
    assert not caplog.text
