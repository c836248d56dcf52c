"""How the activations of single neurons are distributed, over training."""

import numpy as np
from matplotlib.figure import Figure

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import Activations, BasePlotter, Part, Results
from deep_bottleneck.plotter import activation_histograms
from deep_bottleneck.plotter.curves import layer_label
from deep_bottleneck.plotter.style import styled

NEEDS_ACTIVATIONS = True
PANEL_WIDTH, PANEL_HEIGHT = 1.7, 1.6


def load(n_runs: int, run_number: int = 0, n_neurons: int = 10) -> "NeuronActivations":
    """A plotter of all recorded parts of the data.

    Args:
        n_runs: how many runs there are.
        run_number: the run to draw.
        n_neurons: how many neurons of each layer to draw at most.

    Raises:
        ConfigError: if there is no such run, or no neuron to draw.
    """
    if not 0 <= run_number < n_runs:
        raise ConfigError(
            f'"plotters": plotter.activations_single_neuron is to draw run {run_number}, but the '
            f"runs are 0 to {n_runs - 1}"
        )
    if n_neurons < 1:
        raise ConfigError(
            f'"plotters": plotter.activations_single_neuron is to draw {n_neurons} neurons of '
            "each layer; n_neurons should be 1 or more"
        )
    return NeuronActivations(run_number, n_neurons)


class NeuronActivations(BasePlotter):
    """Draws for each neuron of one run a histogram of 30 bins at each epoch."""

    def __init__(self, run: int, n_neurons: int) -> None:
        self._run = run
        self._n_neurons = n_neurons

    def plot(self, results: Results) -> dict[str, Figure]:
        """One figure `single_neuron_activations_<part>` for each part of the data."""
        return {
            f"single_neuron_activations_{part}": neuron_activations(
                recording, part, self._run, self._n_neurons
            )
            for part, recording in results.recordings.items()
        }


@styled
def neuron_activations(activations: Activations, part: Part, run: int, most_neurons: int) -> Figure:
    """Draw a row of panels for each layer, a panel for each neuron.

    Args:
        activations: what was recorded of one part of the data.
        part: which part that is.
        run: which run to draw.
        most_neurons: how many neurons of each layer to draw at most.
    """
    layers = [
        activation_histograms.of_neurons(activations, layer, most_neurons, run)
        for layer in range(activations.n_layers)
    ]
    n_columns = max(histograms.shares.shape[1] for histograms in layers)
    size = (PANEL_WIDTH * n_columns + 1.5, PANEL_HEIGHT * len(layers) + 0.8)
    figure = Figure(figsize=size)
    figure.suptitle(f"Activations of single neurons (run {run}, {part} examples)")
    panels = figure.subplots(len(layers), n_columns, squeeze=False, sharey="row")
    for layer, (row, histograms) in enumerate(zip(panels, layers, strict=True)):
        row[0].set_ylabel(f"layer {layer_label(layer, activations.layer_names[layer])}")
        by_neuron = np.moveaxis(histograms.shares, 1, 0)
        for neuron, (axes, shares) in enumerate(zip(row, by_neuron, strict=False)):
            one = activation_histograms.Histograms(histograms.epochs, histograms.edges, shares)
            mesh = activation_histograms.draw(axes, one)
            axes.set_title(f"neuron {neuron}", fontsize=8)
            axes.tick_params(labelsize=7)
        for unused in row[len(by_neuron) :]:
            unused.set_axis_off()
    figure.supxlabel("epoch")
    figure.colorbar(mesh, ax=panels, fraction=0.03, label="share of activations", extend="min")
    return figure
