"""A metric of several experiments, averaged over those that are repeats of each other."""

from collections.abc import Sequence
from itertools import cycle

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from deep_bottleneck.eval_tools.collection import ExperimentCollection
from deep_bottleneck.eval_tools.configs import SEED, format_config
from deep_bottleneck.eval_tools.fields import Fields
from deep_bottleneck.eval_tools.former_names import of_metrics, present
from deep_bottleneck.plotter.curves import scale_epochs
from deep_bottleneck.plotter.style import CATEGORY_COLORS, styled

_DASHES = ("-", "--", ":", "-.")


@styled
def compare(
    experiments: ExperimentCollection,
    metric: str,
    by: Sequence[str] | None = None,
    confidence: float = 0.95,
) -> Figure:
    """Draw the mean of a metric over repeats, with the interval the mean is in.

    Args:
        experiments: what to compare.
        metric: the name of the metric.
        by: the hyperparameters whose values tell groups apart, within which experiments are
            repeats; None for all that differ but the seed.
        confidence: how sure the interval is, by Student's t distribution over repeats. A group of
            one experiment has none.

    Raises:
        ValueError: if no experiment has this metric, or the confidence is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, not {confidence}")
    figure = Figure(figsize=(8, 5))
    axes = figure.add_subplot(xlabel="epoch", ylabel=metric)
    last = 0
    # more groups than colours differ by their dashes
    styles = [dashes for dashes in _DASHES for _ in CATEGORY_COLORS]
    for (label, table), style in zip(
        repeats(experiments, metric, by).items(), cycle(styles), strict=False
    ):
        _draw(axes, table, label, confidence, style)
        last = max(last, int(table.index.max()))
    scale_epochs(axes, last)
    axes.legend(frameon=False)
    return figure


def repeats(
    experiments: ExperimentCollection, metric: str, by: Sequence[str] | None = None
) -> dict[str, pd.DataFrame]:
    """A metric of each group of repeats.

    Args:
        experiments: what to compare.
        metric: the name of the metric.
        by: as for `compare`.

    Returns:
        For each group a table with a row for each step and a column for each experiment.

    Raises:
        ValueError: if no experiment has this metric.
    """
    if by is None:
        by = [key for key in experiments.differing_config_keys() if key != SEED]
    configs = experiments.configs
    found = experiments.store.metrics(experiments.ids, [metric, *of_metrics(metric)])
    groups: dict[str, dict[str, pd.Series]] = {}
    for id_, series in found.items():
        for name in present(metric, series, of_metrics) if id_ in configs else ():
            label = format_config(configs[id_], *by) if by else "all"
            groups.setdefault(label, {})[str(id_)] = series[name]
    if not groups:
        near = Fields(experiments.store, experiments.ids).near(metric, metrics_alone=True)
        raise ValueError(f"none of the experiments has a metric {metric!r}{near}")
    return {label: pd.DataFrame(group).sort_index() for label, group in groups.items()}


def _draw(axes: Axes, table: pd.DataFrame, label: str, confidence: float, style: str) -> None:
    mean, n = table.mean(axis=1), table.count(axis=1)
    (line,) = axes.plot(mean.index, mean, style, label=f"{label} (n = {table.shape[1]})")
    if table.shape[1] > 1:
        half = table.sem(axis=1) * stats.t.ppf(0.5 + confidence / 2, n - 1)
        axes.fill_between(
            mean.index, mean - half, mean + half, color=line.get_color(), alpha=0.2, linewidth=0
        )
