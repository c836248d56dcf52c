"""The information plane as a page to play with: one file that opens in any browser, also offline.

The page is `interactive.html` beside this module, with the values and a compressed Plotly inside.
"""

import base64
import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.colors import to_hex
from plotly.offline import get_plotlyjs

from deep_bottleneck.interfaces import BasePlotter, Results, TableName
from deep_bottleneck.plotter.curves import layer_labels
from deep_bottleneck.plotter.style import COLOR_MAP, described

TEMPLATE = Path(__file__).with_suffix(".html")
ACCURACY = {"train": "accuracy", "test": "val_accuracy"}
DECIMALS = 4
_KEYS = ["epoch", "run", "layer"]


def load() -> "Interactive":
    """A plotter that writes a page with all planes of the experiment."""
    return Interactive()


@dataclass(frozen=True)
class Page:
    """An HTML page.

    Attributes:
        html: its text.
        suffix: that of its file.
    """

    html: str
    suffix: str = ".html"

    def save(self, path: Path) -> None:
        """Write the page."""
        path.write_text(self.html, encoding="utf-8")


class Interactive(BasePlotter):
    """Draws the plane with a slider for the epoch, and mutual information over epochs beside it.

    The page can change the part of the data, the estimator, and whether it shows each run or their
    mean (or median); what the pointer rests on says its run, layer, epoch, bits and accuracy.
    """

    def plot(self, results: Results) -> dict[str, Page]:
        """One page `infoplane_interactive`, with the names of estimators that tables carry."""
        tables = {name: table for name, table in results.tables.items() if not table.empty}
        if not tables:
            return {}
        estimators = dict.fromkeys(name.estimator for name in tables)
        name = "_".join(["infoplane_interactive", *filter(None, estimators)])
        return {name: page(tables, results.metrics, results.plot_median)}


def page(
    tables: Mapping[TableName, pd.DataFrame], metrics: pd.DataFrame, plot_median: bool
) -> Page:
    """Write the page.

    Args:
        tables: as `Results.tables`, none of them empty.
        metrics: as `Results.metrics`.
        plot_median: whether to summarise runs by their median instead of their mean.
    """
    values = json.dumps(_values(tables, metrics, plot_median), separators=(",", ":"))
    library = base64.b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode("ascii")
    html = TEMPLATE.read_text(encoding="utf-8")
    # "<" could end the script that the values stand in
    html = html.replace("@DATA@", values.replace("<", "\\u003c")).replace("@LIBRARY@", library)
    return Page(html)


def _values(
    tables: Mapping[TableName, pd.DataFrame], metrics: pd.DataFrame, plot_median: bool
) -> dict[str, Any]:
    """What the page shows, in JSON's types."""
    together = pd.concat(tables.values())
    epochs, runs, layers = (np.unique(together[key]) for key in _KEYS)
    places = pd.MultiIndex.from_product([epochs, runs, layers], names=_KEYS)
    estimators: dict[str, dict[str, Any]] = {}
    for name, table in tables.items():
        row = table.iloc[0]
        known = estimators.setdefault(
            name.estimator, {"name": name.estimator or str(row["estimator"]), "parts": {}}
        )
        filled = table.set_index(_KEYS).reindex(places)
        shape = (len(epochs), len(runs), len(layers))
        known["parts"][name.part] = {
            "x": _listed(filled["MI_XM"].to_numpy().reshape(shape)),
            "y": _listed(filled["MI_YM"].to_numpy().reshape(shape)),
            "ceiling": float(table["ceiling"].max()),
            "description": described(row),
        }
    accuracy = metrics.set_index(["epoch", "run"]).reindex(places.droplevel("layer").unique())
    colors = colormaps[COLOR_MAP](np.linspace(0, 0.9, len(layers)))
    return {
        "epochs": epochs.tolist(),
        "runs": runs.tolist(),
        "layers": [to_hex(color) for color in colors],
        "labels": list(layer_labels(together).values()),
        "summary": "median" if plot_median else "mean",
        "estimators": list(estimators.values()),
        "accuracy": {
            part: _listed(accuracy[column].to_numpy().reshape(len(epochs), len(runs)))
            for part, column in ACCURACY.items()
        },
    }


def _listed(values: np.ndarray[Any, Any]) -> list[Any]:
    """Nested lists of rounded numbers, with None for what is not finite."""
    rounded = np.round(values.astype(np.float64), DECIMALS).astype(object)
    rounded[~np.isfinite(values.astype(np.float64))] = None
    found: list[Any] = rounded.tolist()
    return found
