"""One look for all pictures: readable labels and colours that colour-blind readers can tell apart.

Figures are made without pyplot, so nothing is global and no window opens.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import pandas as pd
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, SymLogNorm

COLOR_MAP = "viridis"
# Okabe & Ito 2008, "Color Universal Design", without yellow, which is faint on white
CATEGORY_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
SPREAD_COLOR = "0.6"
DPI = 150
EXAMPLES = {"train": "{} training examples", "test": "{} test examples", "full": "all {} examples"}
# at least so many epochs have colours, so that a single epoch has one too
ONE_DECADE = 10

STYLE: dict[Any, Any] = {
    "axes.grid": True,
    "axes.labelsize": 12,
    "axes.prop_cycle": cycler(color=CATEGORY_COLORS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 13,
    "figure.constrained_layout.use": True,
    "grid.alpha": 0.25,
}

P = ParamSpec("P")
T = TypeVar("T")


def styled(draw: Callable[P, T]) -> Callable[P, T]:
    """Apply the style while a function draws."""

    @wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return wrapper


def described(row: pd.Series) -> str:
    """How and of what the values of a table were estimated, as a title says it.

    Args:
        row: with estimator, parameter, bounds, geometric, part and n_examples.
    """
    method = ", ".join(part for part in (row["estimator"], row["parameter"]) if part)
    bounds = f" ({row['bounds']})" if row["bounds"] not in (row["estimator"], "") else ""
    examples = EXAMPLES[row["part"]].format(row["n_examples"])
    compression = "; compression is geometric" if row["geometric"] else ""
    return f"{method}{bounds}, {examples}{compression}"


def epoch_norm(last: int) -> Normalize:
    """Colours of epochs up to the last: logarithmic from epoch 1 on."""
    return SymLogNorm(linthresh=1, vmin=0, vmax=max(ONE_DECADE, last))


def epoch_ticks(last: int) -> list[int]:
    """Ticks where epochs are logarithmic: 0, 1 and its decades up to the last."""
    return [0, *(10**power for power in range(len(str(last))))]


def add_epoch_bar(axes: Axes | list[Axes], colored: ScalarMappable, last: int) -> None:
    """Put a bar beside axes that says which colour of `epoch_norm` is which epoch."""
    figure = (axes[0] if isinstance(axes, list) else axes).get_figure(root=True)
    if figure is not None:
        bar = figure.colorbar(colored, ax=axes, label="epoch")
        ticks = epoch_ticks(max(ONE_DECADE, last))
        bar.set_ticks(ticks, labels=[str(tick) for tick in ticks])
