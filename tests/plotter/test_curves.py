import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from tidy import tidy

from deep_bottleneck.interfaces import Results
from deep_bottleneck.plotter import (
    curves,
    effective_information,
    gradient_noise,
    weight_graph_information,
)

WHOLE = ((-1, "network"), (0, "dense"), (1, "pred"))


def lines(axes):
    return {line.get_label(): line for line in axes.lines}


@pytest.mark.parametrize(
    ("plotter", "name", "layers"),
    [
        (effective_information, "effective_information", WHOLE[1:]),
        (weight_graph_information, "weight_graph_information", WHOLE),
        (gradient_noise, "gradient_noise", WHOLE),
    ],
)
def test_a_panel_for_each_measure_and_a_curve_for_each_layer(plotter, name, layers):
    table = tidy(plotter.TITLES, layers=layers)

    figures = plotter.load().plot(Results({}, pd.DataFrame(), stored={name: table}))

    (figure,) = figures.values()
    assert list(figures) == [f"{name}_plot"]
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == list(plotter.TITLES.values())
    for axes, measure in zip(figure.axes, plotter.TITLES, strict=False):
        for layer, layer_name in layers:
            label = layer_name if layer < 0 else f"{layer}: {layer_name}"
            chosen = table[(table["layer"] == layer) & (table["measure"] == measure)]
            line = lines(axes)[label]
            np.testing.assert_array_equal(line.get_xdata(), [0, 1, 5])
            np.testing.assert_allclose(line.get_ydata(), chosen.groupby("epoch")["value"].mean())
        assert len(axes.collections) == len(layers)
    legend = figure.axes[-1].get_legend()
    assert len(legend.get_texts()) == len(layers)


def test_medians_over_runs():
    table = tidy(["ei"])

    axes = curves.panels(table, {"ei": "EI"}, "T", True).axes[0]

    expected = table[table["layer"] == 1].groupby("epoch")["value"].median()
    np.testing.assert_allclose(lines(axes)["1: pred"].get_ydata(), expected)


@pytest.mark.parametrize(
    ("last", "scale", "ticks"),
    [
        (100, "linear", None),
        (101, "symlog", [0, 1, 10, 100]),
        (8000, "symlog", [0, 1, 10, 100, 1000]),
    ],
)
def test_epochs_that_span_decades_are_on_a_logarithmic_axis(last, scale, ticks):
    axes = Figure().add_subplot()

    curves.scale_epochs(axes, last)

    assert axes.get_xscale() == scale
    if ticks:
        assert axes.get_xticks().tolist() == ticks
        assert [label.get_text() for label in axes.get_xticklabels()] == [str(t) for t in ticks]


def test_on_a_logarithmic_axis_values_below_zero_are_gaps(tmp_path):
    table = tidy(["noise"], n_runs=2)
    at_1 = (table["layer"] == 0) & (table["epoch"] == 1)
    table.loc[at_1, "value"] *= -1

    figure = curves.panels(table, {"noise": "noise"}, "T", False, log=True)
    figure.savefig(tmp_path / "noise.png")

    axes = figure.axes[0]
    assert axes.get_yscale() == "log"
    assert axes.get_ylim()[0] > 0.5
    (band, _) = axes.collections
    assert 1 not in np.concatenate([path.vertices[:, 0] for path in band.get_paths()])


def test_what_could_not_be_measured_leaves_a_gap(tmp_path):
    table = tidy(["ei"], n_runs=1)
    table.loc[table["layer"] == 0, "value"] = np.nan

    figure = curves.panels(table, {"ei": "EI"}, "T", False)
    figure.savefig(tmp_path / "ei.png")

    assert np.isnan(lines(figure.axes[0])["0: dense"].get_ydata()).all()
    assert not figure.axes[0].collections
