"""The trust report as a picture: one for each information plane, drawn in every experiment."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from deep_bottleneck.interfaces import BasePlotter, Results
from deep_bottleneck.plotter.curves import layer_ticks
from deep_bottleneck.plotter.style import described, styled
from deep_bottleneck.storage.names import TRUST

CHECKS = {
    "estimate": "o",
    "parameter halved": "v",
    "parameter doubled": "^",
    "labels shuffled": "x",
}
SHARES = (
    "at the ceiling",
    "above H(Y)",
    "above I(X;M)",
    "violates the data processing inequality",
)


def load() -> "Trust":
    """A plotter that draws every trust report."""
    return Trust()


class Trust(BasePlotter):
    """Draws the information at the last epoch with other parameters, and the shares of bad values.

    Points are means over runs, bars reach from the lowest run to the highest.
    """

    def plot(self, results: Results) -> dict[str, Figure]:
        """One figure `trust_plot_<name>` for each table of information with a `trust_<name>`."""
        reports = {name: results.stored.get(f"{TRUST}{name}") for name in results.tables}
        return {
            f"trust_plot_{name}": trust(report)
            for name, report in reports.items()
            if report is not None and not report.empty
        }


@styled
def trust(report: pd.DataFrame) -> Figure:
    """Draw a trust report.

    Args:
        report: as `deep_bottleneck.measuring.trust.trust_report` gives it.
    """
    figure = Figure(figsize=(10, 7))
    (about_input, about_label), (shares, accuracy) = figure.subplots(2, 2)
    first = report.iloc[0]
    figure.suptitle(
        f"Can this be trusted? {described(first)}\nmean and range over {first['n_runs']} run(s)"
    )
    last_epoch = report.loc[report["check"] == "estimate", "epoch"].max()
    _information(about_input, report, "MI_XM", "ceiling", last_epoch)
    _information(about_label, report, "MI_YM", "H(Y)", last_epoch)
    about_input.set_ylabel("I(X;M) [bits]")
    about_label.set_ylabel("I(Y;M) [bits]")
    _shares(shares, report)
    _accuracy(accuracy, report)
    return figure


def _information(axes: Axes, report: pd.DataFrame, measure: str, bound: str, epoch: float) -> None:
    of_measure = report[(report["measure"] == measure) & (report["epoch"] == epoch)]
    offsets = np.linspace(-0.2, 0.2, len(CHECKS))
    for offset, (check, marker) in zip(offsets, CHECKS.items(), strict=True):
        rows = of_measure[of_measure["check"] == check]
        if not rows.empty:
            _points(axes, rows["layer"] + offset, rows, marker, check)
    limit = report.loc[(report["check"] == bound) & (report["measure"] == measure), "value"]
    axes.axhline(limit.iloc[0], color="0.4", linewidth=0.8, label=bound)
    axes.set(title=f"at epoch {epoch:.0f}", xlabel="layer")
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    layer_ticks(axes.xaxis, report)
    axes.legend(fontsize=8, frameon=False)


def _points(
    axes: Axes, places: "pd.Series[float]", rows: pd.DataFrame, marker: str, label: str
) -> None:
    reach = [rows["value"] - rows["lowest"], rows["highest"] - rows["value"]]
    axes.errorbar(places, rows["value"], np.abs(reach), fmt=marker, markersize=5, label=label)


def _shares(axes: Axes, report: pd.DataFrame) -> None:
    width = 0.8 / len(SHARES)
    offsets = width * (np.arange(len(SHARES)) - (len(SHARES) - 1) / 2)
    for offset, check in zip(offsets, SHARES, strict=True):
        rows = report[report["check"] == check]
        axes.bar(rows["layer"] + offset, rows["value"], width=width, label=check)
    # room for the legend above the bars
    axes.set(title="share of epochs and runs", xlabel="layer", ylim=(0, 1.5))
    axes.set_yticks(np.linspace(0, 1, 5))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    layer_ticks(axes.xaxis, report)
    axes.legend(fontsize=8, frameon=False)


def _accuracy(axes: Axes, report: pd.DataFrame) -> None:
    rows = report[report["check"] == "accuracy"]
    _points(axes, pd.Series(np.arange(len(rows), dtype=float)), rows, "o", "accuracy")
    axes.set_xticks(range(len(rows)), rows["measure"])
    axes.set(title="accuracy at the end", xlim=(-0.5, len(rows) - 0.5), ylim=(0, 1.02))
    for place, value in enumerate(rows["value"]):
        axes.annotate(f"{value:.3f}", (place, value), (8, -3), textcoords="offset points")
