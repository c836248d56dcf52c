import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from tidy import tidy

from deep_bottleneck.interfaces import Results
from deep_bottleneck.plotter import causal_plane

MEASURES = ("ei", "sensitivity", "degeneracy")


def points(axes):
    (found,) = [one for one in axes.collections if isinstance(one, PathCollection)]
    return found


def test_it_draws_the_table_that_the_callback_left():
    results = Results({}, pd.DataFrame(), stored={"effective_information": tidy(MEASURES)})

    assert list(causal_plane.load().plot(results)) == ["causal_plane"]


@pytest.mark.parametrize(("median", "summary"), [(False, "mean"), (True, "median")])
def test_sensitivity_against_degeneracy_coloured_by_epoch(median, summary):
    data = tidy(MEASURES)

    first, second, bar = causal_plane.causal_plane(data, median).axes

    assert first.get_title() == "layer 0: dense"
    assert (second.get_xlabel(), second.get_ylabel()) == (
        "degeneracy [bits]",
        "sensitivity [bits]",
    )
    of_layer = data[data["layer"] == 1]
    expected = [
        of_layer[of_layer["measure"] == measure].groupby("epoch")["value"].agg(summary)
        for measure in ("degeneracy", "sensitivity")
    ]
    np.testing.assert_allclose(points(second).get_offsets(), np.transpose(expected))
    np.testing.assert_array_equal(points(second).get_array(), [0, 1, 5])
    assert bar.get_ylabel() == "epoch"


def test_diagonals_are_of_equal_ei():
    axes = causal_plane.causal_plane(tidy(MEASURES), False).axes[0]

    right = axes.get_xlim()[1]
    assert len(axes.texts) > 2
    for text in axes.texts:
        x, y = text.get_position()
        assert x == right
        assert y - x == pytest.approx(float(text.get_text().removeprefix(" EI ")))
    assert axes.get_ylim()[1] >= max(text.get_position()[1] for text in axes.texts)


def test_single_runs_are_thin_lines():
    def thin(n_runs):
        axes = causal_plane.causal_plane(tidy(MEASURES, n_runs), False).axes[0]
        return [line for line in axes.lines if line.get_linewidth() == 0.5]

    assert len(thin(3)) == 3
    assert not thin(1)


def test_a_layer_that_could_not_be_measured_says_so():
    data = tidy(MEASURES)
    data.loc[data["layer"] == 0, "value"] = np.nan

    first, second, _ = causal_plane.causal_plane(data, False).axes

    assert [text.get_text() for text in first.texts] == ["no value could be measured"]
    assert len(points(second).get_offsets()) == 3


@pytest.mark.parametrize(
    "data",
    [
        tidy(MEASURES, n_runs=1, epochs=(0,)),
        tidy(MEASURES, layers=[(i, f"layer_{i}") for i in range(5)]),
        tidy(MEASURES).assign(value=1.0),
        tidy(MEASURES).assign(value=np.nan),
        tidy(MEASURES, epochs=(0, 7999)),
    ],
)
def test_little_data_and_many_layers_are_drawn_too(data, tmp_path):
    causal_plane.causal_plane(data, False).savefig(tmp_path / "plane.png")
