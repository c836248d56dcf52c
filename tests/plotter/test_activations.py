import numpy as np
import pytest
from recorded import Recorded, random_activations, results

from deep_bottleneck.config import Config
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.pipeline.plan import make_plan
from deep_bottleneck.plotter import activation_histograms, activations, activations_single_neuron


def meshes(figure):
    return [axes.collections[0] for axes in figure.axes if axes.get_ylabel() == "activation"]


def test_shares_are_those_of_a_histogram():
    recorded = random_activations()

    histograms = activation_histograms.of_layer(recorded, 0)

    values = np.concatenate([recorded.layer(epoch, 0).ravel() for epoch in recorded.epochs])
    assert (histograms.edges[0], histograms.edges[-1]) == (values.min(), values.max())
    assert histograms.shares.shape == (3, 30)
    expected, _ = np.histogram(recorded.layer(5, 0), histograms.edges)
    np.testing.assert_allclose(histograms.shares[2], expected / 400)


def test_a_neurons_shares_are_those_of_one_run():
    recorded = random_activations()

    histograms = activation_histograms.of_neurons(recorded, 0, 3, run=1)

    assert histograms.shares.shape == (3, 3, 30)
    expected, _ = np.histogram(recorded.layer(1, 0)[1, :, 2], histograms.edges)
    np.testing.assert_allclose(histograms.shares[1, 2], expected / 50)


def test_a_run_that_has_stopped_has_no_more_epochs():
    values = [np.arange(6.0).reshape(1, 3, 2)]
    recorded = Recorded({0: [np.zeros((2, 3, 2))], 1: values}, runs={1: [1]})

    assert activation_histograms.of_neurons(recorded, 0, 2, run=0).epochs == [0]
    assert activation_histograms.of_neurons(recorded, 0, 2, run=1).epochs == [0, 1]


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_activations_that_are_all_alike_or_not_finite_are_drawn_too(value, tmp_path):
    recorded = Recorded({epoch: [np.full((2, 3, 2), value)] for epoch in (0, 1)})

    activations.layer_activations(recorded, "test").savefig(tmp_path / "alike.png")


def test_a_panel_for_each_layer():
    figure = activations.load().plot(results(random_activations()))["activations_train"]

    *panels, bar = figure.axes
    assert [axes.get_title() for axes in panels] == ["layer 0", "layer 1"]
    assert bar.get_ylabel() == "share of activations"
    for axes, mesh in zip(panels, meshes(figure), strict=True):
        assert mesh.get_array().shape == (30, 3)
        assert axes.get_xlim() == (-0.5, 5.5)
        assert axes.get_ylim() == pytest.approx((-1, 1), abs=0.05)


def test_one_figure_for_each_recorded_part():
    recorded = results(random_activations(), ["full"])

    assert list(activations.load().plot(recorded)) == ["activations_full"]
    of_neurons = activations_single_neuron.load(n_runs=2).plot(recorded)
    assert list(of_neurons) == ["single_neuron_activations_full"]


def test_a_row_for_each_layer_a_panel_for_each_neuron():
    figure = activations_single_neuron.neuron_activations(random_activations(), "test", 1, 3)

    drawn = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in drawn] == [f"neuron {i}" for i in (0, 1, 2, 0, 1)]
    assert [axes.get_ylabel() for axes in drawn if axes.get_ylabel()] == ["layer 0", "layer 1"]
    assert all(axes.collections[0].get_array().shape == (30, 3) for axes in drawn)
    assert figure.get_suptitle() == "Activations of single neurons (run 1, test examples)"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [({"run_number": 2}, "draw run 2, but the runs are 0 to 1"), ({"n_neurons": 0}, "1 or more")],
)
def test_what_cannot_be_drawn_is_said_beforehand(arguments, sentence):
    with pytest.raises(ConfigError, match=sentence):
        activations_single_neuron.load(n_runs=2, **arguments)


def test_activations_are_recorded_for_the_plotter_alone():
    config = Config.parse({"plotters": ["plotter.activations"], "calculate_mi_for": []})

    plan = make_plan(config)

    assert "callbacks.activity_logger" in [callback.path for callback in plan.callbacks]
