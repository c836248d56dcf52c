import numpy as np
import pandas as pd
import pytest

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import Results
from deep_bottleneck.plotter import similarity
from deep_bottleneck.similarity import LinearCKA, similarity_of_layers, similarity_to_final


class Recorded:
    """Layer 0 never changes, layer 1 does until the last epoch."""

    epochs = (0, 3, 200)
    n_layers = 2
    layer_names = ("", "")
    examples = np.random.default_rng(0).standard_normal((30, 4)).astype(np.float32)
    labels = np.arange(30) % 2

    def runs(self, epoch):
        return np.array([0, 1, 2])

    def layer(self, epoch, layer):
        generator = np.random.default_rng((layer, epoch * layer))
        return np.tanh(self.examples @ generator.standard_normal((3, 4, 3)))


@pytest.fixture
def results():
    return Results({}, pd.DataFrame(), recordings={"train": Recorded(), "test": Recorded()})


def test_two_figures_for_each_part(results):
    assert list(similarity.load().plot(results)) == [
        "similarity_layers_train",
        "similarity_epochs_train",
        "similarity_layers_test",
        "similarity_epochs_test",
    ]


def test_a_cell_for_each_pair_of_layers(results, tmp_path):
    figure = similarity.load().plot(results)["similarity_layers_test"]
    figure.savefig(tmp_path / "layers.png")

    axes, bar = figure.axes
    table = similarity_of_layers(Recorded(), LinearCKA())
    expected = table.groupby(["layer", "other_layer"])["similarity"].mean()
    (image,) = axes.images
    np.testing.assert_allclose(image.get_array().ravel(), expected)
    assert image.get_clim() == (0, 1)
    assert [text.get_text() for text in axes.texts] == [f"{value:.2f}" for value in expected]
    assert (axes.get_xlabel(), axes.get_ylabel(), bar.get_ylabel()) == ("layer", "layer", "CKA")
    assert figure.get_suptitle() == "Similarity of layers at the end (test)"


def test_a_curve_for_each_layer_that_ends_at_its_final_self(results, tmp_path):
    figure = similarity.load().plot(results)["similarity_epochs_train"]
    figure.savefig(tmp_path / "epochs.png")

    (axes,) = figure.axes
    still, moving = axes.lines
    np.testing.assert_array_equal(still.get_xdata(), [0, 3, 200])
    np.testing.assert_allclose(still.get_ydata(), 1)
    assert moving.get_ydata()[-1] == pytest.approx(1)
    assert moving.get_ydata()[0] < 0.9
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["0", "1"]
    assert axes.get_ylabel() == "CKA to the final layer"
    assert axes.get_xscale() == "symlog"


def test_medians_over_runs():
    table = similarity_to_final(Recorded(), LinearCKA())

    axes = similarity.convergence(table, True, "test").axes[0]

    expected = table[table["layer"] == 1].groupby("epoch")["similarity"].median()
    np.testing.assert_allclose(axes.lines[1].get_ydata(), expected)


def test_layers_that_say_nothing_leave_gaps(tmp_path):
    table = similarity_of_layers(Recorded(), LinearCKA())
    table.loc[table["layer"] == 1, "similarity"] = np.nan

    figure = similarity.heat_map(table, False, "test")
    figure.savefig(tmp_path / "layers.png")

    assert np.isnan(figure.axes[0].images[0].get_array().data[1]).all()


@pytest.mark.parametrize("measure", list(similarity.MEASURES))
def test_each_measure_draws(results, measure):
    figure = similarity.load(measure).plot(results)["similarity_epochs_train"]

    assert figure.axes[0].get_ylabel().startswith(similarity.MEASURES[measure].name)


def test_an_unknown_measure():
    with pytest.raises(ConfigError, match="cka, cka_rbf, svcca, pwcca, not by 'cosine'"):
        similarity.load("cosine")
