"""How the activations of each layer are distributed, over training."""

import math

from matplotlib.figure import Figure

from deep_bottleneck.interfaces import Activations, BasePlotter, Part, Results
from deep_bottleneck.plotter import activation_histograms
from deep_bottleneck.plotter.curves import layer_label
from deep_bottleneck.plotter.style import styled

NEEDS_ACTIVATIONS = True
MOST_COLUMNS = 3


def load() -> "LayerActivations":
    """A plotter of all recorded parts of the data."""
    return LayerActivations()


class LayerActivations(BasePlotter):
    """Draws for each layer a histogram of 30 bins at each epoch, all runs together."""

    def plot(self, results: Results) -> dict[str, Figure]:
        """One figure `activations_<part>` for each part of the data."""
        return {
            f"activations_{part}": layer_activations(recording, part)
            for part, recording in results.recordings.items()
        }


@styled
def layer_activations(activations: Activations, part: Part) -> Figure:
    """Draw a panel for each layer.

    Args:
        activations: what was recorded of one part of the data.
        part: which part that is.
    """
    n_columns = min(MOST_COLUMNS, activations.n_layers)
    n_rows = math.ceil(activations.n_layers / n_columns)
    figure = Figure(figsize=(4 * n_columns + 1, 3 * n_rows + 0.5))
    figure.suptitle(f"Activations ({part} examples)")
    panels = list(figure.subplots(n_rows, n_columns, squeeze=False).flat)
    for layer, axes in enumerate(panels[: activations.n_layers]):
        histograms = activation_histograms.of_layer(activations, layer)
        mesh = activation_histograms.draw(axes, histograms)
        label = layer_label(layer, activations.layer_names[layer])
        axes.set(title=f"layer {label}", xlabel="epoch", ylabel="activation")
    for unused in panels[activations.n_layers :]:
        unused.set_axis_off()
    figure.colorbar(mesh, ax=panels, label="share of activations", extend="min")
    return figure
