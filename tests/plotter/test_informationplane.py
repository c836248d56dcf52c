import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import EllipseCollection, LineCollection, PathCollection
from measured import table

from deep_bottleneck.interfaces import Results, TableName
from deep_bottleneck.plotter import informationplane


def artists(figure, kind):
    return [artist for artist in figure.axes[0].collections if isinstance(artist, kind)]


def test_one_plane_for_each_part():
    results = Results({TableName("", part): table() for part in ("train", "full")}, pd.DataFrame())

    assert list(informationplane.load().plot(results)) == ["infoplane_train", "infoplane_full"]


def test_a_point_for_each_epoch_and_layer_a_line_for_each_epoch():
    figure = informationplane.plane(table(), plot_median=False, title="T")

    (points,) = artists(figure, PathCollection)
    (lines,) = artists(figure, LineCollection)
    (spread,) = artists(figure, EllipseCollection)
    assert len(points.get_offsets()) == len(spread.get_offsets()) == 12
    assert [len(path.vertices) for path in lines.get_paths()] == [4, 4, 4]
    assert sorted(set(points.get_array())) == [0, 1, 20]
    axes, bar = figure.axes
    assert (figure.get_suptitle(), axes.get_xlabel()) == ("T", "I(X;M) [bits]")
    assert axes.get_ylabel() == "I(Y;M) [bits]"
    assert bar.get_ylabel() == "epoch"


@pytest.mark.parametrize(("median", "summary"), [(False, "mean"), (True, "median")])
def test_points_are_the_mean_or_the_median_over_runs(median, summary):
    data = table()

    figure = informationplane.plane(data, median, "T")

    (points,) = artists(figure, PathCollection)
    expected = data.groupby(["epoch", "layer"])[["MI_XM", "MI_YM"]].agg(summary)
    np.testing.assert_allclose(points.get_offsets(), expected)


def test_axes_fit_the_data():
    data = table()

    axes = informationplane.plane(data, False, "T").axes[0]

    for limits, column in ((axes.get_xlim(), "MI_XM"), (axes.get_ylim(), "MI_YM")):
        means = data.groupby(["epoch", "layer"])[column].mean()
        assert limits[0] < means.min() < means.max() < limits[1]
        assert limits[1] - limits[0] < 2.5 * np.ptp(data[column])


def test_a_single_run_has_no_spread():
    assert not artists(informationplane.plane(table(n_runs=1), False, "T"), EllipseCollection)


@pytest.mark.parametrize("data", [table(epochs=(0,), n_layers=1), table(n_runs=1, epochs=(7999,))])
def test_little_data_is_drawn_too(data, tmp_path):
    informationplane.plane(data, False, "T").savefig(tmp_path / "plane.png")


def test_values_that_could_not_be_estimated_leave_a_gap():
    data = table()
    data.loc[data["layer"] == 2, "MI_XM"] = np.nan

    (points,) = artists(informationplane.plane(data, False, "T"), PathCollection)

    assert len(points.get_offsets()) == 9


def test_nothing_estimated_says_so():
    data = table().assign(MI_XM=np.nan)

    (text,) = informationplane.plane(data, False, "T").axes[0].texts

    assert text.get_text() == "no value could be estimated"


def test_the_ceiling_is_a_line_within_the_axes():
    axes = informationplane.plane(table(), False, "T").axes[0]

    (line,) = axes.get_lines()
    assert set(line.get_xdata()) == {12.0}
    assert axes.get_xlim()[1] > 12


def test_the_title_says_how_and_of_what_it_was_estimated():
    title = informationplane.plane(table(), False, "T").axes[0].get_title()

    assert title == (
        "binning, bin width 0.07 (estimate), 4096 training examples; compression is geometric"
    )
