"""Draws pictures of the documentation from stored experiments, and writes tables to them.

    python run_experiments.py -d configs/estimators/tishby.json
    python docs/make_pictures.py five_planes 1

    python run_experiments.py -d configs/cohorts/cohort_05.json
    python docs/make_pictures.py cohort cohort_05

where 1 is the id of the experiment. `docs/guide/getting_started.md` tells how to make those that
its pictures are drawn from.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from deep_bottleneck.eval_tools import ExperimentCollection, ExperimentLoader, compare
from deep_bottleneck.eval_tools.planes import draw_planes
from deep_bottleneck.plotter.compression import peak_and_final

DOCS = Path(__file__).resolve().parent
PICTURES = DOCS / "pictures"


def five_planes(experiment_id: str) -> None:
    """One training through several estimators, a plane for each, mean over runs."""
    measured = ExperimentLoader().find_by_id(experiment_id).information_measures(part="full")
    named = measured.assign(title=measured["estimator"] + ", " + measured["parameter"].fillna(""))
    means = named.groupby(["title", "epoch", "layer"], sort=False)[["MI_XM", "MI_YM"]].mean()
    tables = {
        str(title): table.reset_index() for title, table in means.groupby(level=0, sort=False)
    }
    draw_planes(tables, n_columns=3).savefig(PICTURES / "five_planes.png", dpi=110)


def cohort(name: str) -> None:
    """The planes of all experiments of a cohort, mean over runs, and what each layer compresses."""
    experiments = ExperimentLoader().find_sweep(name)
    figure = experiments.plot_planes(part="full", n_columns=4)
    figure.savefig(PICTURES / f"{name}.png", dpi=110)
    compression(experiments).to_csv(DOCS / "results" / f"{name}.csv")


def compression(experiments: ExperimentCollection) -> pd.DataFrame:
    """For each experiment the bits by which its layers compress, mean and deviation over runs."""
    rows = {}
    for experiment in experiments:
        found = peak_and_final(experiment.information_measures(part="full"))
        by_layer = found.groupby("layer")["compression"]
        rows[experiment.id] = {
            f"layer {layer}": f"{mean:.2f} ± {deviation:.2f}"
            for layer, mean, deviation in by_layer.agg(["mean", "std"]).itertuples()
        }
    differing = experiments.project(experiments.differing_config_keys())
    return differing.join(pd.DataFrame(rows).T)


def plane(experiment_id: str, name: str) -> None:
    """The information plane of the test examples, as the experiment has stored it."""
    experiment = ExperimentLoader().find_by_id(experiment_id)
    experiment.artifacts["infoplane_test"].save(PICTURES / f"{name}.png")


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
    drawn = (five_planes, cohort, plane, two_planes, two_accuracies)
    pictures: dict[str, Callable[..., None]] = {picture.__name__: picture for picture in drawn}
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("picture", choices=pictures)
    options.add_argument(
        "of", nargs="+", help="ids, or a cohort; after the id for a plane the name of its picture"
    )
    chosen = options.parse_args()
    pictures[chosen.picture](*chosen.of)


if __name__ == "__main__":
    main()
