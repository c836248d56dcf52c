"""Curves over epochs with a band for the spread over runs."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from deep_bottleneck.plotter.style import epoch_ticks, styled

# the first epochs are not to vanish in a corner
LAST_EPOCH_OF_LINEAR_AXES = 100
# characters that a tick's label may have beside others
_LONGEST_ACROSS = 4


def curve(
    axes: Axes,
    table: pd.DataFrame,
    column: str,
    label: str,
    median: bool,
    hollow: pd.Series | None = None,
) -> None:
    """Draw the mean or median over runs, with its band.

    The band is one standard deviation to either side, or for medians the central 68 %.

    Args:
        axes: where to draw.
        table: columns run, epoch and the one to draw; NaN leaves a gap.
        column: what to draw.
        label: what the legend calls it.
        median: whether to draw the median instead of the mean.
        hollow: by epoch, whether the point is not filled.
    """
    by_epoch = table.groupby("epoch")[column]
    if median:
        centre, low, high = by_epoch.median(), by_epoch.quantile(0.16), by_epoch.quantile(0.84)
    else:
        centre, spread = by_epoch.mean(), by_epoch.std(ddof=0)
        low, high = centre - spread, centre + spread
    if axes.get_yscale() == "log":
        low = low.where(low > 0)
    (line,) = axes.plot(centre.index, centre, "o-", markersize=4, label=label)
    if table["run"].max() > table["run"].min():
        axes.fill_between(centre.index, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    if hollow is not None and hollow.any():
        points = centre[hollow]
        axes.plot(points.index, points, "o", markersize=4, mfc="white", mec=line.get_color())


def thin_and_thick(
    axes: Axes, table: pd.DataFrame, column: str, label: str, median: bool, color: str
) -> None:
    """Draw every run as a thin line, and their mean or median as a thick one.

    Args:
        axes: where to draw.
        table: columns run, epoch and the one to draw; NaN leaves a gap.
        column: what to draw.
        label: what the legend calls the thick line.
        median: whether that is the median instead of the mean.
        color: of all of these lines.
    """
    by_run = table.pivot_table(column, "epoch", "run", dropna=False)
    if by_run.shape[1] > 1:
        axes.plot(by_run.index, by_run, color=color, alpha=0.35, linewidth=0.6)
    centre = by_run.median(axis=1) if median else by_run.mean(axis=1)
    axes.plot(centre.index, centre, color=color, linewidth=2.2, label=label)


def scale_epochs(axes: Axes, last: int, linear_up_to: int = LAST_EPOCH_OF_LINEAR_AXES) -> None:
    """Give axes over epochs a scale and ticks: logarithmic from epoch 1 on where they span decades.

    Args:
        axes: whose x axis has epochs.
        last: the last of them.
        linear_up_to: the last epoch for which the scale stays linear.
    """
    if last <= linear_up_to:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        return
    axes.set_xscale("symlog", linthresh=1)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(epoch_ticks(last), labels=[f"{tick:g}" for tick in epoch_ticks(last)])
    axes.set_xlim(-0.2, 1.2 * last)


def layer_labels(table: pd.DataFrame) -> dict[int, str]:
    """What pictures call each layer, in order: its number, and its name where it has one."""
    layers = table.dropna(subset="layer").drop_duplicates("layer").sort_values("layer")
    names = layers["name"] if "name" in layers else [""] * len(layers)
    return {
        layer: layer_label(layer, name)
        for layer, name in zip(layers["layer"].astype(int).tolist(), names, strict=True)
    }


def layer_label(layer: int, name: str) -> str:
    """What pictures call a layer of this name, "" if it has none."""
    if layer < 0:
        return name
    return f"{layer}: {name}" if name else str(layer)


def layer_ticks(axis: XAxis | YAxis, table: pd.DataFrame) -> None:
    """Let an axis of a picture have a tick for each layer of a table, with its name."""
    labels = layer_labels(table)
    axis.set_ticks(list(labels), list(labels.values()))
    if isinstance(axis, XAxis) and max(map(len, labels.values())) > _LONGEST_ACROSS:
        axis.set_tick_params(rotation=30)


@styled
def panels(
    table: pd.DataFrame,
    titles: Mapping[str, str],
    title: str,
    plot_median: bool,
    log: bool = False,
    linear_up_to: int = LAST_EPOCH_OF_LINEAR_AXES,
) -> Figure:
    """Draw a panel for each measure, and in it a curve for each layer.

    Args:
        table: columns run, epoch, layer, measure, value, and name if layers have names.
        titles: what to call each measure to draw, in order.
        title: what stands above all.
        plot_median: whether the curves are medians over runs instead of means.
        log: whether values are on a logarithmic axis, where those not above 0 leave a gap.
        linear_up_to: the last epoch for which the axis of epochs stays linear.
    """
    n_columns = (len(titles) + 2) // 2  # a cell is left for the legend
    figure = Figure(figsize=(4.2 * n_columns, 6.5))
    figure.suptitle(title)
    *cells, corner = figure.subplots(2, n_columns).flat
    for axes, (measure, name) in zip(cells, titles.items(), strict=False):
        axes.set(title=name, xlabel="epoch")
        of_measure = table[table["measure"] == measure]
        if log and (of_measure["value"] > 0).any():
            axes.set_yscale("log", nonpositive="mask")
        for layer, label in layer_labels(table).items():
            curve(axes, of_measure[of_measure["layer"] == layer], "value", label, plot_median)
        scale_epochs(axes, int(table["epoch"].max()), linear_up_to)
    for unused in [*cells[len(titles) :], corner]:
        unused.set_axis_off()
    corner.legend(*cells[0].get_legend_handles_labels(), loc="center", title="layer", frameon=False)
    return figure
