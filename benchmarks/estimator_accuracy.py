"""Every estimator on problems whose mutual information is known.

Prints one table, estimator by problem, and with `--write` renews the table and the picture of the
documentation and the values that the tests compare with.

python -m benchmarks.estimator_accuracy
"""

import argparse
import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

from benchmarks.known_information import Problem, problems
from benchmarks.neighbors import infomeasure
from deep_bottleneck.errors import EstimationError
from deep_bottleneck.interfaces import MutualInformationEstimator
from deep_bottleneck.mi_estimator import (
    binning,
    binning_adaptive,
    binning_global,
    edge,
    edge_published,
    exact,
    kraskov,
    lower,
    noisy,
    renyi,
    upper,
)
from deep_bottleneck.plotter.style import styled

SIZES = (1000, 4000, 16000)
SHORT = 1000
REPEATS = 3
ROOT = Path(__file__).resolve().parent.parent
RECORD = ROOT / "benchmarks" / "estimator_accuracy.json"
TABLE = ROOT / "docs" / "estimator_accuracy.md"
PICTURE = ROOT / "docs" / "pictures" / "estimator_accuracy.png"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Drawn:
    """Pairs of a problem, as the recording of one layer that estimators read."""

    layer_values: np.ndarray[Any, Any]
    labels: np.ndarray[Any, Any]
    examples: np.ndarray[Any, Any]
    epochs: Sequence[int] = (0,)
    n_layers: int = 1
    layer_names: Sequence[str] = ("",)

    def runs(self, epoch: int) -> np.ndarray[Any, Any]:
        """The only run."""
        del epoch
        return np.zeros(1, np.int64)

    def layer(self, epoch: int, layer: int) -> np.ndarray[Any, Any]:
        """The only layer, of the only run."""
        del epoch, layer
        return self.layer_values[None]


@dataclass(frozen=True)
class Method:
    """A way to estimate.

    Attributes:
        estimate: bits from pairs x, y; y is a label or continuous.
        suits: whether a problem is one it was made for.
        largest: more pairs than this would take too long.
    """

    estimate: Callable[[np.ndarray[Any, Any], np.ndarray[Any, Any]], float]
    suits: Callable[[Problem], bool]
    largest: int = 16000


def methods() -> dict[str, Method]:
    """All methods by name; those that take M to be a function of X, only where it is one."""
    deterministic: dict[str, MutualInformationEstimator] = {
        "binning 0.25": binning.load(0.25),
        "binning_global 30": binning_global.load(30, "linear"),
        "binning_adaptive 30": binning_adaptive.load(30),
        "upper 0.01": upper.load(0.01),
        "lower 0.01": lower.load(0.01),
        "noisy 0.01": noisy.load(0.01),
    }
    relations: dict[str, MutualInformationEstimator] = {
        "kraskov 3": kraskov.load(3),
        "kraskov 3, algorithm 2": kraskov.load(3, algorithm=2),
        "edge": edge.load(1),
        "edge_published": edge_published.load(1),
        "renyi, Silverman": renyi.load(1, scaling="silverman"),
    }
    found = {
        name: Method(partial(_with_plug_in, estimator), _has_function)
        for name, estimator in deterministic.items()
    }
    found["exact, 4 bits"] = Method(
        partial(_with_plug_in, exact.load(4)), lambda problem: "quantised" in problem.name
    )
    for name, estimator in relations.items():
        found[name] = Method(partial(_with_plug_in, estimator), lambda _: True)
    found["scikit-learn"] = Method(_with_sklearn, lambda problem: _dimension(problem) == 1)
    package = infomeasure()
    if package is not None:
        found["infomeasure, KSG"] = Method(package, lambda problem: not problem.labelled, 4000)
    return found


def _has_function(problem: Problem) -> bool:
    return problem.labelled or np.isinf(problem.truth)


def _dimension(problem: Problem) -> int:
    x, y = problem.draw(2, np.random.default_rng(0))
    return int(x.shape[1] if y.ndim == 1 else max(x.shape[1], y.shape[1]))


def _with_plug_in(
    estimator: MutualInformationEstimator, x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]
) -> float:
    """I(Y;M) of a layer x and labels y, or I(X;M) of a layer x and inputs y."""
    layer = x.astype(np.float32)
    labelled = y.ndim == 1
    drawn = (
        Drawn(layer, y, layer)
        if labelled
        else Drawn(layer, np.arange(len(x)) % 2, y.astype(np.float32))
    )
    fitted = estimator.fitted(drawn).for_layer(0)
    information = fitted.estimate(drawn.layer(0, 0), drawn.labels)
    return float(information.mi_ym[0] if labelled else information.mi_xm[0])


def _with_sklearn(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> float:
    if y.ndim == 1:
        nats = mutual_info_classif(x, y, discrete_features=False, random_state=0)
    else:
        nats = mutual_info_regression(x, y[:, 0], discrete_features=False, random_state=0)
    return float(nats[0] / np.log(2))


def measure(sizes: Sequence[int], repeats: int = REPEATS) -> pd.DataFrame:
    """Try every method on every problem it suits.

    Args:
        sizes: numbers of pairs.
        repeats: how many draws of each size.

    Returns:
        Columns method, problem, n, truth, estimate (mean over draws, NaN where undefined), spread
        (standard deviation over draws), error, seconds (of one draw).
    """
    rows = []
    for problem in problems():
        for n in sizes:
            draws = [problem.draw(n, np.random.default_rng([n, seed])) for seed in range(repeats)]
            for name, method in methods().items():
                if method.suits(problem) and n <= method.largest:
                    start = time.perf_counter()
                    values = np.array([_bits(name, problem, method, *pair) for pair in draws])
                    seconds = (time.perf_counter() - start) / repeats
                    estimate, spread = values.mean(), values.std()
                    error = estimate - problem.truth
                    rows.append(
                        (name, problem.name, n, problem.truth, estimate, spread, error, seconds)
                    )
    columns = ["method", "problem", "n", "truth", "estimate", "spread", "error", "seconds"]
    return pd.DataFrame(rows, columns=columns)


def _bits(
    name: str, problem: Problem, method: Method, x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]
) -> float:
    try:
        return method.estimate(x, y)
    except EstimationError as error:
        logger.info("%s on %s: %s", name, problem.name, error)
        return np.nan


def as_markdown(table: pd.DataFrame, n: int) -> str:
    """The estimates at one size, estimator by problem, with the time of one draw."""
    of_size = table[table["n"] == n]
    order = [name for name in methods() if (of_size["method"] == name).any()]
    estimates = of_size.pivot_table("estimate", "problem", "method", dropna=False, sort=False)
    names = list(dict.fromkeys(of_size["problem"]))
    lines = [
        f"Estimates in bits from {n} pairs, mean of {REPEATS} draws; undefined where there is a "
        "dash, empty where the method does not apply.",
        "",
        "| problem | truth | " + " | ".join(order) + " |",
        "|---" * (len(order) + 2) + "|",
    ]
    tried = set(zip(of_size["problem"], of_size["method"], strict=True))
    for problem in names:
        truth = of_size.loc[of_size["problem"] == problem, "truth"].iloc[0]
        cells = [
            "" if (problem, method) not in tried else _shown(estimates.loc[problem, method])
            for method in order
        ]
        lines.append(f"| {problem} | {_shown(truth)} | " + " | ".join(cells) + " |")
    seconds = of_size.groupby("method")["seconds"].median()
    lines.append("| *seconds* | | " + " | ".join(f"{seconds[name]:.3f}" for name in order) + " |")
    return "\n".join(lines) + "\n"


def _shown(value: Any) -> str:
    if np.isnan(value):
        return "-"
    return "∞" if np.isinf(value) else f"{value:.2f}"


@styled
def errors_over_sizes(table: pd.DataFrame) -> Figure:
    """The error of each method against the number of pairs, one panel for each problem."""
    finite = table[np.isfinite(table["truth"])]
    names = list(dict.fromkeys(finite["problem"]))
    order = [name for name in methods() if (table["method"] == name).any()]
    n_columns = 5
    figure = Figure(figsize=(16, 12))
    n_rows = -(-len(names) // n_columns)
    panels = figure.subplots(n_rows, n_columns, sharex=True, sharey=True).ravel()
    colors = colormaps["tab20"]
    markers = list(Line2D.filled_markers)
    for axes, problem in zip(panels, names, strict=False):
        of_problem = finite[finite["problem"] == problem]
        axes.axhline(0, color="0.3", linewidth=0.8)
        for number, method in enumerate(order):
            rows = of_problem[of_problem["method"] == method]
            style = {"color": colors(number % 20), "marker": markers[number % len(markers)]}
            axes.plot(rows["n"], rows["error"], markersize=4, linewidth=1, label=method, **style)
        axes.set_title(f"{problem}: {of_problem['truth'].iloc[0]:.2f} bits", fontsize=9)
        axes.set_xscale("log")
        axes.set_yscale("symlog", linthresh=0.1)
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    handles, labels = panels[len(names) - 1].get_legend_handles_labels()
    panels[-1].legend(handles, labels, loc="center", fontsize=9, frameon=False)
    figure.supxlabel("number of pairs")
    figure.supylabel("estimate - truth [bits]")
    return figure


def record_of(table: pd.DataFrame) -> dict[str, dict[str, float | None]]:
    """The errors at the short size by problem and method, None where undefined."""
    record: dict[str, dict[str, float | None]] = {}
    for row in _short_rows(table):
        value = None if np.isnan(row["estimate"]) else round(float(row["estimate"]), 4)
        record.setdefault(row["problem"], {})[row["method"]] = value
    return record


def _short_rows(table: pd.DataFrame) -> Iterator[Any]:
    ours = ~table["method"].str.startswith(("scikit-learn", "infomeasure"))
    for _, row in table[(table["n"] == SHORT) & ours].iterrows():
        yield row


def main() -> None:
    """Print the table of each size; write them and the picture if asked to."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of pairs")
    options.add_argument("--write", action="store_true", help="renew documentation and record")
    chosen = options.parse_args()
    start = time.perf_counter()
    table = measure(chosen.sizes)
    tables = [as_markdown(table, n) for n in chosen.sizes]
    print("\n".join(tables))
    print(f"{time.perf_counter() - start:.0f} s in all")
    if chosen.write:
        TABLE.write_text("\n".join(tables), encoding="utf-8")
        errors_over_sizes(table).savefig(PICTURE, dpi=100)
        RECORD.write_text(json.dumps(record_of(table), indent=1) + "\n")


if __name__ == "__main__":
    main()
