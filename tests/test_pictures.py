"""From a config to every picture and movie that the plotters draw of a small experiment."""

from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from deep_bottleneck.config import Config
from deep_bottleneck.pipeline.plan import make_plan
from deep_bottleneck.pipeline.run import run_experiment

PLOTTERS = (
    "informationplane",
    "informationplane_movie",
    "mi_over_epochs",
    "compression",
    "accuracy",
    "activations",
    "activations_single_neuron",
    "snr",
)


class Stored(dict):
    """A record that keeps its artifacts' file names by their names."""

    def log_scalar(self, name, value, step):
        pass

    def add_artifact(self, filename, name):
        self[name] = filename


@pytest.fixture
def experiment(tmp_path):
    """Runs two networks for three epochs, with hyperparameters to change."""

    def run(**changes):
        values = {"epochs": 3, "n_runs": 2, "architecture": [3], "seed": 0, **changes}
        config = Config.parse({"dataset": "datasets.xor", **values})
        stored = Stored()
        accuracy = run_experiment(config, make_plan(config), stored, tmp_path)
        keras.utils.clear_session()
        return stored, accuracy

    return run


@pytest.mark.slow
def test_every_plotter_draws_what_was_recorded(experiment):
    pytest.importorskip("imageio_ffmpeg")

    stored, _ = experiment(
        plotters=[f"plotter.{name}" for name in PLOTTERS],
        callbacks=["callbacks.gradient_logger"],
    )

    by_part = (
        "infoplane",
        "infoplane_movie",
        "mi_over_epochs",
        "compression",
        "activations",
        "single_neuron_activations",
    )
    wanted = {f"{name}_{part}" for name in by_part for part in ("train", "test")}
    assert {"accuracy", "snr", *wanted} <= stored.keys()
    assert stored["infoplane_movie_test"].endswith("infoplane_movie_test.mp4")
    gradients = pd.read_csv(stored["gradients"])
    assert len(gradients) == 2 * 3 * 2
    assert (gradients["weight_norm"] > 0).all()


def test_activations_are_drawn_where_no_information_is_measured(experiment):
    stored, _ = experiment(plotters=["plotter.activations"], calculate_mi_for=[])

    assert stored.keys() == {"activations_train", "activations_test"}


def test_options_change_what_is_trained_on(experiment):
    options = {"n_train": 40, "n_test": 20, "classes": [3, 8, 5]}

    stored, accuracy = experiment(dataset="datasets.digits", dataset_options=options, plotters=[])

    table = pd.read_csv(stored["information_measures_test"])
    assert set(table["n_examples"]) == {20}
    hits = accuracy["train"] * 40
    np.testing.assert_allclose(hits, np.round(hits), atol=1e-3)


def test_pictures_have_150_dots_per_inch_and_are_scalable_on_request(experiment):
    stored, _ = experiment(plotters=["plotter.accuracy"], calculate_mi_for=[], svg=True)

    assert stored.keys() == {"accuracy", "accuracy_svg"}
    assert imread(stored["accuracy"]).shape == (5 * 150, 8 * 150, 4)
    assert "<svg" in Path(stored["accuracy_svg"]).read_text()
