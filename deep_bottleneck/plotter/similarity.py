"""How alike layers are to each other, and to what they become.

Raghu et al. 2017, "SVCCA: singular vector canonical correlation analysis for deep learning dynamics
and interpretability", section 4.1: where learning converges bottom-up, the layers reach their final
selves one after the other, from the input side to the readout.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.figure import Figure

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import BasePlotter, Results
from deep_bottleneck.plotter.curves import curve, layer_labels, layer_ticks, scale_epochs
from deep_bottleneck.plotter.style import COLOR_MAP, styled
from deep_bottleneck.similarity import (
    PWCCA,
    SVCCA,
    KernelCKA,
    LinearCKA,
    Measure,
    similarity_of_layers,
    similarity_to_final,
)

REFERENCES = ("raghu2017",)

NEEDS_ACTIVATIONS = True
MEASURES: dict[str, Measure[Any]] = {
    "cka": LinearCKA(),
    "cka_rbf": KernelCKA("rbf", batch_size=256),
    "svcca": SVCCA(),
    "pwcca": PWCCA(),
}


def load(measure: str = "cka") -> "Similarity":
    """A plotter that compares the recorded activations of each part of the data.

    Args:
        measure: "cka", "cka_rbf", "svcca" or "pwcca".

    Raises:
        ConfigError: if it is none of them.
    """
    if measure not in MEASURES:
        raise ConfigError(
            f'"plotters": similarity is measured by {", ".join(MEASURES)}, not by {measure!r}'
        )
    return Similarity(MEASURES[measure])


class Similarity(BasePlotter):
    """Draws a heat map of all layers at the end, and each layer against its final self.

    Values are means or medians over runs, each of which is compared with itself alone.
    """

    def __init__(self, measure: Measure[Any]) -> None:
        self._measure = measure

    def plot(self, results: Results) -> dict[str, Figure]:
        """Figures `similarity_layers_<part>` and `similarity_epochs_<part>` for each part."""
        figures = {}
        for part, recording in results.recordings.items():
            layers = similarity_of_layers(recording, self._measure)
            epochs = similarity_to_final(recording, self._measure)
            figures[f"similarity_layers_{part}"] = heat_map(layers, results.plot_median, part)
            figures[f"similarity_epochs_{part}"] = convergence(epochs, results.plot_median, part)
        return figures


@styled
def heat_map(table: pd.DataFrame, plot_median: bool, part: str) -> Figure:
    """Draw the similarity of every layer to every layer.

    Args:
        table: as `similarity_of_layers` gives it.
        plot_median: whether cells are medians over runs instead of means.
        part: what data this is of, for the title.
    """
    cells = table.pivot_table(
        index="layer",
        columns="other_layer",
        values="similarity",
        aggfunc="median" if plot_median else "mean",
        dropna=False,
    ).to_numpy()
    size = 2.5 + 0.6 * len(cells)
    figure = Figure(figsize=(size + 1, size))
    figure.suptitle(f"Similarity of layers at the end ({part})")
    axes = figure.add_subplot(xlabel="layer", ylabel="layer")
    axes.grid(visible=False)
    image = axes.imshow(cells, cmap=COLOR_MAP, vmin=0, vmax=1, origin="lower")
    for row, column in np.ndindex(cells.shape):
        value = cells[row, column]
        color = "white" if value < 0.6 else "black"
        axes.annotate(f"{value:.2f}", (column, row), ha="center", va="center", color=color)
    others = table[["other_layer", "other_name"]].set_axis(["layer", "name"], axis=1)
    layer_ticks(axes.yaxis, table)
    layer_ticks(axes.xaxis, others)
    figure.colorbar(image, ax=axes, label=table["measure"].iloc[0], shrink=0.8)
    return figure


@styled
def convergence(table: pd.DataFrame, plot_median: bool, part: str) -> Figure:
    """Draw the similarity of each layer to its final self over training.

    Args:
        table: as `similarity_to_final` gives it.
        plot_median: whether curves are medians over runs instead of means.
        part: what data this is of, for the title.
    """
    figure = Figure(figsize=(8, 5))
    axes = figure.add_subplot(xlabel="epoch")
    measure = table["measure"].iloc[0]
    axes.set_ylabel(f"{measure} to the final layer")
    figure.suptitle(f"Each layer and its final self ({part})")
    shades = np.linspace(0, 0.9, table["layer"].nunique())
    axes.set_prop_cycle(color=colormaps[COLOR_MAP](shades))
    for layer, label in layer_labels(table).items():
        curve(axes, table[table["layer"] == layer], "similarity", label, plot_median)
    axes.set_ylim(top=1.02)
    scale_epochs(axes, int(table["epoch"].max()))
    axes.legend(title="layer", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return figure
