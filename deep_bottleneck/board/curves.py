"""Metrics of experiments as curves."""

import io
from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from deep_bottleneck.plotter.curves import scale_epochs
from deep_bottleneck.plotter.style import styled
from deep_bottleneck.records.base import ExperimentId, RecordStore


def kind_of(metric: str) -> str:
    """What metrics have in common that belong on the same axes: "loss" for "training.loss"."""
    return metric.rpartition(".")[2]


def kinds(store: RecordStore, ids: Sequence[ExperimentId]) -> list[str]:
    """The kinds of metrics that experiments have, sorted."""
    found = store.metrics(ids)
    return sorted({kind_of(name) for metrics in found.values() for name in metrics})


def curves(store: RecordStore, ids: Sequence[ExperimentId], kind: str) -> bytes | None:
    """The metrics of one kind as an SVG picture, None if the experiments have none."""
    series = {
        f"{id_}: {name}" if len(ids) > 1 else name: values
        for id_, metrics in store.metrics(ids).items()
        for name, values in sorted(metrics.items())
        if kind_of(name) == kind and len(values)
    }
    if not series:
        return None
    drawn = io.BytesIO()
    _draw(series, kind, drawn)
    return drawn.getvalue()


@styled
def _draw(series: Mapping[str, pd.Series], kind: str, target: io.BytesIO) -> None:
    figure = Figure(figsize=(7, 3.6))
    axes = figure.add_subplot(xlabel="epoch", ylabel=kind)
    for label, values in series.items():
        axes.plot(values.index, values, label=label)
    scale_epochs(axes, max(int(values.index.max()) for values in series.values()))
    axes.legend(frameon=False, fontsize=9)
    figure.savefig(target, format="svg")
