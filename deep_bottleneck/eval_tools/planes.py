"""Information planes of several experiments side by side."""

import textwrap
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from deep_bottleneck.plotter.style import COLOR_MAP, add_epoch_bar, epoch_norm, styled

_PANEL = (4.0, 3.4)
# characters that fit above a panel
_TITLE_WIDTH = 48


@styled
def draw_planes(
    tables: Mapping[str, pd.DataFrame], n_columns: int, notes: Mapping[str, str] | None = None
) -> Figure:
    """Draw a plane for each table, all on the same axes and with the same colours.

    Args:
        tables: by title; columns epoch, layer, MI_XM, MI_YM.
        n_columns: planes in a row.
        notes: what to write into the lower right corner of a plane, by its title.

    Raises:
        ValueError: if there are fewer columns than one.
    """
    if n_columns < 1:
        raise ValueError(f"n_columns must be at least 1, not {n_columns}")
    n_columns = min(n_columns, len(tables))
    n_rows = -(-len(tables) // n_columns)
    figure = Figure(figsize=(_PANEL[0] * n_columns, _PANEL[1] * n_rows))
    panels = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
    cells = list(panels.flat)
    last = max(int(table["epoch"].max()) for table in tables.values())
    norm = epoch_norm(last)
    for axes, (title, table) in zip(cells, tables.items(), strict=False):
        points = axes.scatter(
            table["MI_XM"], table["MI_YM"], c=table["epoch"], cmap=COLOR_MAP, norm=norm, s=10
        )
        axes.set_title(textwrap.fill(title, _TITLE_WIDTH), fontsize=9)
        corner = {"ha": "right", "va": "bottom", "transform": axes.transAxes}
        axes.text(0.97, 0.04, (notes or {}).get(title, ""), fontsize=8, **corner)
    for unused in cells[len(tables) :]:
        unused.set_axis_off()
    figure.supxlabel("I(X;M) [bits]")
    figure.supylabel("I(Y;M) [bits]")
    add_epoch_bar(list(np.asarray(cells)), points, last)
    return figure
