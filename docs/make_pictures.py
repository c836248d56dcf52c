"""Draws pictures of the documentation from stored experiments, and writes tables to them.

    python run_experiments.py -d configs/estimators/tishby.json
    python -m docs.make_pictures five_planes 1

    python run_experiments.py -d configs/cohorts/cohort_05.json
    python -m docs.make_pictures cohort cohort_05 4

where 1 is the id of the experiment. `docs/guide/getting_started.md` tells how to make those that
its pictures are drawn from.
"""

import argparse
import itertools
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from deep_bottleneck.config import Config, sweep
from deep_bottleneck.errors import RecordError, exit_on
from deep_bottleneck.eval_tools import (
    Experiment,
    ExperimentCollection,
    ExperimentLoader,
    compare,
    format_config,
)
from deep_bottleneck.eval_tools.planes import draw_planes
from deep_bottleneck.plotter.compression import peak_and_final

DOCS = Path(__file__).resolve().parent
PICTURES = DOCS / "pictures"
# the median, and where the central 68 % begin and end
MEDIAN = np.array([0.5, 0.16, 0.84])
COHORTS = DOCS.parent / "configs" / "cohorts"
PAGE_SIZE = "1400,800"
# a value and its deviation stay in one line
GAP = "\N{NARROW NO-BREAK SPACE}"
TO_EPOCH = """
const slider = document.getElementById("epoch");
slider.value = data.epochs.findIndex(epoch => epoch >= arguments[0]);
slider.dispatchEvent(new Event("input"));
"""


def five_planes(experiment_id: str) -> None:
    """One training through several estimators, a plane for each, mean over runs."""
    experiment = ExperimentLoader().find_by_id(experiment_id)
    figure = planes(by_title([experiment], [""], ["full"]), n_columns=3)
    figure.savefig(PICTURES / "five_planes.png", dpi=110)


def cohort(name: str, n_columns: str = "4", *parts: str) -> None:
    """The planes of all experiments of a cohort, and a table of what each layer compresses.

    Experiments that differ in nothing but the seed are taken together. Without parts of the data it
    is all examples that are looked at.
    """
    combinations = sweep.expand(COHORTS / f"{name}.json")
    configs = [Config.parse(combination.hyperparameters) for combination in combinations]
    titles = [titled(combination.varied) for combination in combinations]
    measured = by_title(trained_as(configs), titles, parts or ["full"])
    median = configs[0].plot_median
    figure = planes(measured, int(n_columns), median=median, notes=test_accuracies(measured))
    figure.savefig(PICTURES / f"{name}.png", dpi=110)
    compression(measured, median).to_csv(DOCS / "results" / f"{name}.csv")


def trained_as(configs: Sequence[Config]) -> ExperimentCollection:
    """For each config the last completed experiment that trained and measured as it says.

    It may belong to another cohort: some of them overlap, and one only draws another's medians.

    Raises:
        RecordError: if there is none.
    """
    completed = ExperimentLoader().find(status="COMPLETED")
    known = {of_training(Config.parse(values)): id_ for id_, values in completed.configs.items()}
    missing = sum(of_training(one) not in known for one in configs)
    if missing:
        raise RecordError(f"{missing} of {len(configs)} experiments are not stored as completed")
    return ExperimentCollection(completed.store, [known[of_training(one)] for one in configs])


def of_training(config: Config) -> str:
    """What a config says of more than of drawing."""
    seeded = config.model_copy(update={"seed": config.seed or 0})
    return seeded.model_dump_json(exclude={"plot_median", "plotters", "svg"})


def titled(varied: Mapping[str, Any]) -> str:
    """What tells an experiment of a sweep from those that differ in more than the seed."""
    keys = [key for key in varied if key != "seed"]
    return format_config(varied, *keys) if keys else ""


def by_title(
    experiments: Iterable[Experiment], titles: Iterable[str], parts: Sequence[str]
) -> dict[str, pd.DataFrame]:
    """The information by what tells experiments, parts of the data and estimators apart."""
    measured: dict[str, list[pd.DataFrame]] = defaultdict(list)
    pairs = zip(experiments, titles, strict=True)
    for (experiment, title), part in itertools.product(pairs, parts):
        table = experiment.information_measures(part=part)
        methods = table.groupby(["estimator", "parameter"], sort=False, dropna=False)
        for (estimator, parameter), of_one in methods:
            method = f"{estimator}, {parameter}" if parameter else str(estimator)
            told = [title, part if len(parts) > 1 else "", method if len(methods) > 1 else ""]
            own = {"experiment": experiment.id, "accuracy": experiment.result["test"]}
            measured[", ".join(filter(None, told))].append(of_one.assign(**own))
    return {title: pd.concat(tables) for title, tables in measured.items()}


def test_accuracies(measured: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """What is written into each plane: the share of test examples that are right in the end."""
    means = {
        title: table.groupby("experiment")["accuracy"].first().mean()
        for title, table in measured.items()
    }
    return {title: f"test {mean:.1%}" for title, mean in means.items()}


def planes(
    measured: Mapping[str, pd.DataFrame],
    n_columns: int,
    median: bool = False,
    notes: Mapping[str, str] | None = None,
) -> Figure:
    """A plane for each title, mean or median over runs."""
    summarised = {
        title: table.groupby(["epoch", "layer"])[["MI_XM", "MI_YM"]]
        .agg("median" if median else "mean")
        .reset_index()
        for title, table in measured.items()
    }
    return draw_planes(summarised, n_columns, notes)


def compression(measured: Mapping[str, pd.DataFrame], median: bool = False) -> pd.DataFrame:
    """The bits by which layers compress, a row for each title.

    Mean and standard deviation over runs, or median and the central 68 %.
    """
    rows = {}
    for title, table in measured.items():
        of_runs = [peak_and_final(of_one) for _, of_one in table.groupby("experiment")]
        by_layer = pd.concat(of_runs).groupby("layer")["compression"]
        rows[title] = {
            f"layer {layer}": "{:.2f} ({:.2f} to {:.2f})".format(*of_layer.quantile(MEDIAN))
            if median
            else f"{of_layer.mean():.2f}{GAP}±{GAP}{of_layer.std():.2f}"
            for layer, of_layer in by_layer
        }
    return pd.DataFrame(rows).T.rename_axis("experiment")


def artifact(experiment_id: str, name: str, picture: str) -> None:
    """A picture that an experiment has stored, such as "infoplane_test"."""
    experiment = ExperimentLoader().find_by_id(experiment_id)
    experiment.artifacts[name].save(PICTURES / f"{picture}.png")


def interactive(experiment_id: str, epoch: str) -> None:
    """The interactive page of an experiment at an epoch, as Chromium shows it."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", f"--window-size={PAGE_SIZE}"):
        options.add_argument(argument)
    page = ExperimentLoader().find_by_id(experiment_id).artifacts["infoplane_interactive"]
    with tempfile.TemporaryDirectory() as folder, webdriver.Chrome(options) as browser:
        path = Path(folder) / "page.html"
        page.save(path)
        browser.get(path.as_uri())
        browser.execute_script(TO_EPOCH, int(epoch))
        browser.save_screenshot(PICTURES / "interactive.png")


def two_planes(*experiment_ids: str) -> None:
    """The planes of experiments side by side."""
    planes = ExperimentLoader().find_by_ids(experiment_ids).plot_planes()
    planes.savefig(PICTURES / "two_planes.png", bbox_inches="tight", dpi=110)


def two_accuracies(*experiment_ids: str) -> None:
    """The test accuracy of experiments on the same axes."""
    curves = compare(ExperimentLoader().find_by_ids(experiment_ids), "test.accuracy")
    curves.savefig(PICTURES / "two_accuracies.png", bbox_inches="tight", dpi=110)


def main() -> None:
    """Draw the picture that the command names."""
    drawn = (artifact, interactive, five_planes, cohort, two_planes, two_accuracies)
    pictures: dict[str, Callable[..., None]] = {picture.__name__: picture for picture in drawn}
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("picture", choices=pictures)
    options.add_argument(
        "of",
        nargs="+",
        help="ids; for an artifact the id, its name and that of its picture; for an interactive "
        "page the id and the epoch; for a cohort its name, how many planes stand in a row, and "
        "parts of the data",
    )
    chosen = options.parse_args()
    with exit_on(RecordError):
        pictures[chosen.picture](*chosen.of)


if __name__ == "__main__":
    main()
