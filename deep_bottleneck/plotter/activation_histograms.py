"""Histograms of recorded activations over epochs, and how they are drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm

from deep_bottleneck.interfaces import Activations, FloatArray
from deep_bottleneck.plotter.curves import scale_epochs
from deep_bottleneck.plotter.style import COLOR_MAP

N_BINS = 30
# shares below are as faint as those of this size
SMALLEST_SHARE = 1e-4


@dataclass(frozen=True)
class Histograms:
    """How activations are distributed at each epoch.

    Attributes:
        epochs: the recorded epochs, ascending.
        edges: of the bins, shape (bins + 1,).
        shares: of the finite activations of an epoch in each bin, float64, shape (epochs, bins);
            for single neurons (epochs, neurons, bins).
    """

    epochs: Sequence[int]
    edges: np.ndarray[Any, np.dtype[np.float64]]
    shares: np.ndarray[Any, np.dtype[np.float64]]


def of_layer(activations: Activations, layer: int) -> Histograms:
    """Histograms of all neurons, examples and runs of a layer together."""
    edges = _edges(activations, layer)
    counts = [
        np.histogram(_finite(activations.layer(epoch, layer)), edges)[0]
        for epoch in activations.epochs
    ]
    return Histograms(activations.epochs, edges, _shares(counts))


def of_neurons(activations: Activations, layer: int, n_neurons: int, run: int) -> Histograms:
    """A histogram for each of the first neurons of a layer in one run.

    Args:
        activations: what was recorded.
        layer: which layer.
        n_neurons: how many neurons at most.
        run: which run.
    """
    edges = _edges(activations, layer)
    epochs = [epoch for epoch in activations.epochs if run in activations.runs(epoch)]
    counts = []
    for epoch in epochs:
        (row,) = np.flatnonzero(activations.runs(epoch) == run)
        values = activations.layer(epoch, layer)[row, :, :n_neurons]  # (examples, neurons)
        bins = np.searchsorted(edges[1:-1], values, side="right")
        cells = N_BINS * np.arange(values.shape[1]) + bins
        found = np.bincount(cells[np.isfinite(values)], minlength=N_BINS * values.shape[1])
        counts.append(found.reshape(-1, N_BINS))
    return Histograms(epochs, edges, _shares(counts))


def draw(axes: Axes, histograms: Histograms) -> QuadMesh:
    """Draw histograms as columns of colours over epochs.

    Args:
        axes: where to draw.
        histograms: of a layer or of one neuron, with shares of shape (epochs, bins).

    Returns:
        What was drawn, for a colour bar.
    """
    epochs = np.asarray(histograms.epochs, dtype=float)
    inner = (epochs[1:] + epochs[:-1]) / 2
    borders = np.concatenate([[epochs[0] - 0.5], inner, [epochs[-1] + 0.5]])
    shares = np.ma.masked_equal(histograms.shares, 0)
    mesh = axes.pcolormesh(
        borders, histograms.edges, shares.T, norm=LogNorm(SMALLEST_SHARE, 1), cmap=COLOR_MAP
    )
    axes.grid(visible=False)
    scale_epochs(axes, int(epochs[-1]))
    axes.set_xlim(borders[0], borders[-1])
    return mesh


def _edges(activations: Activations, layer: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Bins of equal width that hold the layer's activations of all epochs."""
    lows, highs = [np.inf], [-np.inf]
    for epoch in activations.epochs:
        values = _finite(activations.layer(epoch, layer))
        lows.append(values.min(initial=np.inf))
        highs.append(values.max(initial=-np.inf))
    low, high = float(min(lows)), float(max(highs))
    if not np.isfinite([low, high]).all():
        low, high = 0.0, 1.0
    return np.histogram_bin_edges(np.array([low, high]), N_BINS)


def _finite(values: FloatArray) -> FloatArray:
    finite = np.isfinite(values)
    return values if finite.all() else values[finite]


def _shares(counts: Sequence[np.ndarray[Any, Any]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    stacked = np.stack(counts).astype(float)
    return stacked / np.maximum(stacked.sum(axis=-1, keepdims=True), 1)
