"""One look for all pictures: readable labels and colours that colour-blind readers can tell apart.

Figures are made without pyplot, so nothing is global and no window opens.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import pandas as pd

COLOR_MAP = "viridis"
SPREAD_COLOR = "0.6"
DPI = 150

STYLE: dict[Any, Any] = {
    "axes.grid": True,
    "axes.labelsize": 12,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 13,
    "figure.constrained_layout.use": True,
    "grid.alpha": 0.25,
    "savefig.dpi": DPI,
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
    examples = f"{row['n_examples']} {row['part']} examples"
    compression = "; compression is geometric" if row["geometric"] else ""
    return f"{method}{bounds}, {examples}{compression}"
