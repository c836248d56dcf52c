import numpy as np
import pandas as pd
import pytest

from deep_bottleneck.machine.progress import progress
from deep_bottleneck.measuring.estimation import estimate
from deep_bottleneck.measuring.trust import COLUMNS, trust_report
from deep_bottleneck.measuring.trust import report as report_of
from deep_bottleneck.mi_estimator import binning

N_EXAMPLES = 64


class Recorded:
    """Layer 0 tells the examples apart, layer 1 the labels; two runs that are alike."""

    labels = np.arange(N_EXAMPLES) % 2
    examples = np.arange(float(N_EXAMPLES))[:, None]
    epochs = (0, 1, 3, 9, 50, 99)
    n_layers = 2
    layer_names = ("first", "second")

    def runs(self, epoch):
        return np.array([0, 1])

    def layer(self, epoch, layer):
        values = np.arange(N_EXAMPLES) if layer == 0 else 2 * self.labels
        return np.repeat(values.astype(np.float32)[None, :, None], 2, axis=0)


METRICS = pd.DataFrame(
    {"run": [0, 0, 1, 1], "epoch": [0, 99, 0, 99], "accuracy": [0.5, 0.9, 0.5, 1.0]}
).assign(val_accuracy=lambda frame: frame["accuracy"] - 0.1)


@pytest.fixture
def report():
    recording, estimator = Recorded(), binning.load(1.0)
    with progress("test", len(recording.epochs)) as bar:
        table = estimate(estimator, recording, "test", bar)
    variants = {"parameter halved": binning.load(0.5), "parameter doubled": binning.load(2.0)}
    return trust_report(table, estimator, variants, recording, METRICS)


def values(report, check, **where):
    rows = report[report["check"] == check]
    for column, value in where.items():
        rows = rows[rows[column] == value]
    return rows["value"].tolist()


def test_each_row_says_what_it_is_about(report):
    assert tuple(report.columns) == COLUMNS
    of_checks = report.groupby("check")["parameter"].unique()
    assert of_checks["estimate"] == ["bin width 1"]
    assert of_checks["parameter halved"] == ["bin width 0.5"]
    assert set(report["n_examples"]) == {N_EXAMPLES}
    assert set(report["n_runs"]) == {2}
    assert set(report["unit"]) == {"bits", "share"}


def test_the_first_a_middle_and_the_last_epoch_are_checked(report):
    checked = report.loc[report["check"] == "parameter doubled", "epoch"]

    assert sorted(set(checked)) == [0, 9, 99]


def test_wider_bins_tell_fewer_examples_apart(report):
    for check, bits in (("parameter halved", 6), ("estimate", 6), ("parameter doubled", 5)):
        assert values(report, check, layer=0, measure="MI_XM", epoch=99) == pytest.approx([bits])


def test_shuffled_labels_show_what_the_method_sees_in_nothing(report):
    (singles,) = values(report, "labels shuffled", layer=0, epoch=99)
    (classes,) = values(report, "labels shuffled", layer=1, epoch=99)

    assert singles == pytest.approx(1.0)  # each example is a state of its own
    assert classes < 0.1


def test_shares_of_values_that_say_nothing_or_cannot_be(report):
    assert values(report, "at the ceiling") == [1.0, 0.0]
    assert values(report, "above H(Y)") == [0.0, 0.0]
    assert values(report, "above I(X;M)") == [0.0, 0.0]
    assert values(report, "violates the data processing inequality") == [0.0, 0.0]
    assert values(report, "ceiling") == pytest.approx([6.0])
    assert values(report, "H(Y)") == pytest.approx([1.0])


def test_a_layer_that_says_more_about_the_label_than_about_the_input():
    labels = np.arange(N_EXAMPLES) % 2
    table = pd.DataFrame({"run": [0, 0], "epoch": [0, 9], "layer": 0, "violates_dpi": False})
    table = table.assign(MI_XM=[0.2, 0.9], MI_YM=0.5, ceiling=6.0, part="test", n_examples=64)
    table = table.assign(
        estimator="edge", parameter="1", bounds="estimate", geometric=True, name=""
    )

    found = report_of(table, {}, table, labels, METRICS)

    assert values(found, "above I(X;M)") == [0.5]
    assert values(found, "above H(Y)") == [0.0]


def test_accuracy_has_the_range_over_runs(report):
    rows = report[report["check"] == "accuracy"].set_index("measure")

    assert rows.loc["train", ["value", "lowest", "highest"]].tolist() == [0.95, 0.9, 1.0]
    assert rows.loc["test", "value"] == pytest.approx(0.85)


def test_nothing_recorded_is_an_empty_report():
    class Nothing(Recorded):
        epochs = ()

    with progress("test", 0) as bar:
        table = estimate(binning.load(1.0), Nothing(), "test", bar)

    assert trust_report(table, binning.load(1.0), {}, Nothing(), METRICS).empty
