import numpy as np
import pandas as pd
import pytest

from deep_bottleneck.interfaces import Results
from deep_bottleneck.plotter import efficiency


def table(n_runs=3, epochs=(0, 1, 5), undersampled=()):
    """Layers conv and hidden; (run, epoch, layer) in `undersampled` are marked so."""
    generator = np.random.default_rng(0)
    rows = []
    for run in range(n_runs):
        for epoch in epochs:
            network = (generator.random(), 0.9, generator.random())
            rows += [
                (run, epoch, i, name, generator.random(), (run, epoch, i) in undersampled, *network)
                for i, name in enumerate(("conv", "hidden"))
            ]
    columns = ["run", "epoch", "layer", "name", "efficiency", "undersampled"]
    return pd.DataFrame(rows, columns=[*columns, "network_efficiency", "accuracy", "aIQ"])


def labels(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def line(axes, label):
    (found,) = [one for one in axes.lines if one.get_label() == label]
    return found


def test_it_draws_the_table_that_the_callback_left():
    results = Results({}, pd.DataFrame(), stored={"efficiency": table()})

    assert list(efficiency.load().plot(results)) == ["efficiency_plot"]


@pytest.mark.parametrize(("median", "summary"), [(False, "mean"), (True, "median")])
def test_layers_above_and_the_network_below(median, summary):
    data = table()

    above, below = efficiency.efficiency(data, median).axes

    assert labels(above) == ["conv", "hidden"]
    assert labels(below) == ["efficiency", "aIQ"]
    hidden = data[data["layer"] == 1].groupby("epoch")["efficiency"].agg(summary)
    np.testing.assert_array_equal(line(above, "hidden").get_xdata(), [0, 1, 5])
    np.testing.assert_allclose(line(above, "hidden").get_ydata(), hidden)
    once = data[data["layer"] == 0].groupby("epoch")["aIQ"].agg(summary)
    np.testing.assert_allclose(line(below, "aIQ").get_ydata(), once)


def test_the_band_is_the_spread_over_runs():
    data = table()

    above, below = efficiency.efficiency(data, False).axes

    assert (len(above.collections), len(below.collections)) == (2, 2)
    corners = above.collections[0].get_paths()[0].vertices
    at_1 = data[(data["layer"] == 0) & (data["epoch"] == 1)]["efficiency"]
    expected = [at_1.mean() - at_1.std(ddof=0), at_1.mean() + at_1.std(ddof=0)]
    np.testing.assert_allclose(np.unique(corners[corners[:, 0] == 1][:, 1]), expected)


def test_a_single_run_has_no_band():
    above, below = efficiency.efficiency(table(n_runs=1), False).axes

    assert not [*above.collections, *below.collections]


def test_under_sampled_epochs_are_hollow():
    above, _ = efficiency.efficiency(table(undersampled={(0, 1, 1), (2, 5, 1)}), False).axes

    assert labels(above) == ["conv", "hidden", "under-sampled"]
    (hollow,) = [
        one for one in above.lines if one.get_markerfacecolor() == "white" and len(one.get_xdata())
    ]
    np.testing.assert_array_equal(hollow.get_xdata(), [1, 5])


@pytest.mark.parametrize("data", [table(n_runs=1, epochs=(0,)), table().assign(aIQ=np.nan)])
def test_little_data_is_drawn_too(data, tmp_path):
    efficiency.efficiency(data, False).savefig(tmp_path / "efficiency.png")
