import numpy as np
import pandas as pd
import pytest
from measured import metrics, table

from deep_bottleneck.interfaces import Results
from deep_bottleneck.plotter import accuracy, mi_over_epochs


def thick(axes):
    return {line.get_label(): line for line in axes.lines if line.get_linewidth() > 2}


def thin(axes):
    return [line for line in axes.lines if line.get_linewidth() < 1]


@pytest.mark.parametrize(("median", "summary"), [(False, "mean"), (True, "median")])
def test_every_run_is_thin_and_their_summary_thick(median, summary):
    data = table()

    figure = mi_over_epochs.information_over_epochs(data, median)

    assert [axes.get_ylabel() for axes in figure.axes] == ["I(X;M) [bits]", "I(Y;M) [bits]"]
    for axes, column in zip(figure.axes, ("MI_XM", "MI_YM"), strict=True):
        assert len(thin(axes)) == 12
        assert axes.get_ylim()[0] == 0
        for layer in range(4):
            of_layer = data[data["layer"] == layer]
            expected = of_layer.groupby("epoch")[column].agg(summary)
            np.testing.assert_allclose(thick(axes)[str(layer)].get_ydata(), expected)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["0", "1", "2", "3"]
    assert "bin width 0.07" in figure.get_suptitle()


def test_a_single_run_is_drawn_once():
    figure = mi_over_epochs.information_over_epochs(table(n_runs=1), False)

    assert [len(axes.lines) for axes in figure.axes] == [4, 4]


def test_an_epoch_without_values_is_a_gap():
    data = table()
    data.loc[(data["layer"] == 2) & (data["epoch"] == 1), "MI_XM"] = np.nan

    above, below = mi_over_epochs.information_over_epochs(data, False).axes

    assert np.isnan(thick(above)["2"].get_ydata()).tolist() == [False, True, False]
    assert not np.isnan(thick(below)["2"].get_ydata()).any()


def test_a_figure_for_each_table_that_has_rows():
    results = Results({"upper_test": table(), "train": table().iloc[:0]}, pd.DataFrame())

    assert list(mi_over_epochs.load().plot(results)) == ["mi_over_epochs_upper_test"]


def test_accuracy_on_train_and_test_examples(tmp_path):
    data = metrics()

    figure = accuracy.load().plot(Results({}, data))["accuracy"]
    figure.savefig(tmp_path / "accuracy.png")

    (axes,) = figure.axes
    assert len(thin(axes)) == 6
    for label, column in (("train", "accuracy"), ("test", "val_accuracy")):
        line = thick(axes)[label]
        np.testing.assert_allclose(line.get_xdata(), np.arange(21))
        np.testing.assert_allclose(line.get_ydata(), data.groupby("epoch")[column].mean())
    assert axes.get_ylim()[1] == pytest.approx(1.005)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["train", "test"]
