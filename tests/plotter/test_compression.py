import numpy as np
import pandas as pd
import pytest
from measured import table

from deep_bottleneck.interfaces import Results
from deep_bottleneck.plotter import compression


def test_peak_final_and_their_difference_in_each_run():
    data = pd.DataFrame(
        [(0, 0, 5.0), (0, 1, 8.0), (0, 2, 6.0), (1, 0, 4.0), (1, 1, np.nan), (1, 2, np.nan)],
        columns=["run", "epoch", "MI_XM"],
    ).assign(layer=0)

    found = compression.peak_and_final(data)

    assert found.iloc[0].tolist() == [0, 0, 8.0, 6.0, 2.0]
    assert found.loc[1, "peak"] == 4.0
    assert found.loc[1, ["final", "compression"]].isna().all()


@pytest.mark.parametrize(("median", "summary"), [(False, "mean"), (True, "median")])
def test_what_is_drawn(median, summary):
    data = table()

    figure = compression.compression(data, median)

    above, below = figure.axes
    assert (above.get_ylabel(), below.get_ylabel()) == ("I(X;M) [bits]", "peak - final [bits]")
    assert [text.get_text() for text in above.get_legend().get_texts()] == ["peak", "final"]
    assert below.get_xticks().tolist() == [0, 1, 2, 3]
    (bars,) = below.containers
    found = compression.peak_and_final(data)
    expected = found.groupby("layer")["compression"].agg(summary)
    np.testing.assert_allclose(bars[0].get_ydata(orig=False), expected)
    dots = [line for line in below.lines if line.get_marker() == "."]
    np.testing.assert_allclose(dots[0].get_ydata(orig=False), found["compression"])


def test_bars_are_one_standard_deviation():
    data = table()

    (bars,) = compression.compression(data, False).axes[1].containers

    (_, _, (segments,)) = bars
    found = compression.peak_and_final(data).groupby("layer")["compression"]
    lengths = [np.ptp(segment[:, 1]) for segment in segments.get_segments()]
    np.testing.assert_allclose(lengths, 2 * found.std(ddof=0), atol=1e-12)


def test_a_figure_for_each_table_that_has_rows(tmp_path):
    results = Results({"test": table(n_runs=1), "train": table().iloc[:0]}, pd.DataFrame())

    figures = compression.load().plot(results)

    assert list(figures) == ["compression_test"]
    figures["compression_test"].savefig(tmp_path / "compression.png")
