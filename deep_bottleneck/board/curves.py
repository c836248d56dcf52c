"""Metrics of experiments as curves."""

import io
from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from deep_bottleneck.plotter.curves import scale_epochs
from deep_bottleneck.plotter.style import styled
from deep_bottleneck.storage.base import ExperimentId, RecordStore

LINES = ("-", "--", ":", "-.")


def kind_of(metric: str) -> str:
    """What metrics have in common that belong on the same axes: "loss" for "training.loss"."""
    return metric.rpartition(".")[2]


def kinds(store: RecordStore, ids: Sequence[ExperimentId]) -> list[str]:
    """The kinds of metrics that experiments have, sorted."""
    found = store.metrics(ids)
    return sorted({kind_of(name) for metrics in found.values() for name in metrics})


def curves(store: RecordStore, ids: Sequence[ExperimentId], kind: str) -> bytes | None:
    """The metrics of one kind as an SVG picture, None if the experiments have none."""
    found = {
        id_: {
            name: values
            for name, values in sorted(metrics.items())
            if kind_of(name) == kind and len(values)
        }
        for id_, metrics in store.metrics(ids).items()
    }
    if not any(found.values()):
        return None
    drawn = io.BytesIO()
    _draw(found, kind, drawn)
    return drawn.getvalue()


@styled
def _draw(
    found: Mapping[ExperimentId, Mapping[str, pd.Series]], kind: str, target: io.BytesIO
) -> None:
    """A colour for each experiment and a kind of line for each metric; of one, colours alone."""
    names = sorted({name for metrics in found.values() for name in metrics})
    figure = Figure(figsize=(7, 3.6))
    axes = figure.add_subplot(xlabel="epoch", ylabel=kind)
    for number, (id_, metrics) in enumerate(found.items()):
        for name, values in metrics.items():
            place = names.index(name)
            if len(found) > 1:
                label, color, line = f"{id_}: {name}", f"C{number}", LINES[place % len(LINES)]
            else:
                label, color, line = name, f"C{place}", LINES[0]
            axes.plot(values.index, values, line, color=color, label=label)
    every = (values for metrics in found.values() for values in metrics.values())
    scale_epochs(axes, max(int(values.index.max()) for values in every))
    axes.legend(frameon=False, fontsize=9)
    figure.savefig(target, format="svg")
