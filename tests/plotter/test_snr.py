import numpy as np
import pandas as pd
import pytest

from deep_bottleneck.config import Config
from deep_bottleneck.interfaces import Results
from deep_bottleneck.pipeline.plan import make_plan
from deep_bottleneck.plotter import snr


def gradients(n_runs=2, epochs=(0, 1, 5), n_layers=3):
    generator = np.random.default_rng(0)
    rows = [
        (run, epoch, layer, "", *(1 + generator.random(3)))
        for run in range(n_runs)
        for epoch in epochs
        for layer in range(n_layers)
    ]
    columns = ["run", "epoch", "layer", "name", "mean_norm", "std_norm", "weight_norm"]
    return pd.DataFrame(rows, columns=columns)


def plot(table, median=False):
    results = Results({}, pd.DataFrame(), median, {"gradients": table})
    return snr.load().plot(results)["snr"]


def test_a_panel_for_each_norm_and_for_the_ratio_all_logarithmic():
    figure = plot(gradients())

    *panels, _, corner = figure.axes
    assert [axes.get_title() for axes in panels] == list(snr.TITLES.values())
    for axes in panels:
        assert (axes.get_xscale(), axes.get_yscale()) == ("symlog", "log")
        assert [line.get_label() for line in axes.lines] == ["0", "1", "2"]
        assert len(axes.collections) == 3
    assert [text.get_text() for text in corner.get_legend().get_texts()] == ["0", "1", "2"]


@pytest.mark.parametrize(("median", "summary"), [(False, "mean"), (True, "median")])
def test_the_ratio_is_taken_in_each_run(median, summary):
    table = gradients(n_runs=3)

    ratio = plot(table, median).axes[2]

    of_layer = table[table["layer"] == 1]
    expected = (of_layer["mean_norm"] / of_layer["std_norm"]).groupby(of_layer["epoch"])
    np.testing.assert_allclose(ratio.lines[1].get_ydata(), expected.agg(summary))


def test_a_single_batch_has_no_noise_and_no_ratio(tmp_path):
    table = gradients(n_runs=1).assign(std_norm=0.0)

    figure = plot(table)
    figure.savefig(tmp_path / "snr.png")

    assert np.isnan(figure.axes[2].lines[0].get_ydata()).all()


def test_it_brings_the_recorder_of_gradients():
    plan = make_plan(Config.parse({"plotters": ["plotter.snr"]}))

    assert "callbacks.gradient_logger" in [callback.path for callback in plan.callbacks]
