"""Draws pictures of the documentation from stored experiments.

    python run_experiments.py -d configs/estimators/tishby.json
    python docs/make_pictures.py five_planes 1

where 1 is the id of the experiment. Those of `docs/guide/getting_started.md` are drawn from the
experiments that it tells to run.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from deep_bottleneck.eval_tools import ExperimentLoader, compare
from deep_bottleneck.eval_tools.planes import draw_planes

PICTURES = Path(__file__).resolve().parent / "pictures"


def five_planes(experiment_ids: Sequence[str]) -> None:
    """One training through several estimators, a plane for each, mean over runs."""
    (experiment_id,) = experiment_ids
    measured = ExperimentLoader().find_by_id(experiment_id).information_measures(part="full")
    named = measured.assign(title=measured["estimator"] + ", " + measured["parameter"].fillna(""))
    means = named.groupby(["title", "epoch", "layer"], sort=False)[["MI_XM", "MI_YM"]].mean()
    tables = {
        str(title): table.reset_index() for title, table in means.groupby(level=0, sort=False)
    }
    draw_planes(tables, n_columns=3).savefig(PICTURES / "five_planes.png", dpi=110)


def first_plane(experiment_ids: Sequence[str]) -> None:
    """The information plane of the test examples, as the experiment has stored it."""
    (experiment_id,) = experiment_ids
    experiment = ExperimentLoader().find_by_id(experiment_id)
    experiment.artifacts["infoplane_test"].save(PICTURES / "first_plane.png")


def two_planes(experiment_ids: Sequence[str]) -> None:
    """The planes of experiments side by side."""
    planes = ExperimentLoader().find_by_ids(experiment_ids).plot_planes()
    planes.savefig(PICTURES / "two_planes.png", bbox_inches="tight", dpi=110)


def two_accuracies(experiment_ids: Sequence[str]) -> None:
    """The test accuracy of experiments on the same axes."""
    curves = compare(ExperimentLoader().find_by_ids(experiment_ids), "test.accuracy")
    curves.savefig(PICTURES / "two_accuracies.png", bbox_inches="tight", dpi=110)


def main() -> None:
    """Draw the picture that the command names."""
    functions = (five_planes, first_plane, two_planes, two_accuracies)
    pictures = {function.__name__: function for function in functions}
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("picture", choices=pictures)
    options.add_argument(
        "experiment_ids", nargs="+", metavar="id", help="of an experiment that it is drawn from"
    )
    chosen = options.parse_args()
    pictures[chosen.picture](chosen.experiment_ids)


if __name__ == "__main__":
    main()
