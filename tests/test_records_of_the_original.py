"""Experiments of the original are found, shown and exported: its database, as its Sacred wrote it.

Sacred 0.7 kept no types of files, and tables had no columns but run, epoch, layer and information.
"""

import io
from datetime import datetime

import gridfs
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pymongo
import pytest
from matplotlib.figure import Figure

from deep_bottleneck.board.app import create_app
from deep_bottleneck.errors import MissingTableError
from deep_bottleneck.eval_tools import ExperimentLoader, compare
from deep_bottleneck.eval_tools.artifacts import HDF5Artifact, MP4Artifact, PNGArtifact
from deep_bottleneck.storage.__main__ import main

CONFIG = {
    "epochs": 20,
    "batch_size": 256,
    "architecture": [3],
    "optimizer": "adam",
    "learning_rate": 0.0004,
    "model": "models.feedforward",
    "dataset": "datasets.harmonics",
    "estimator": "mi_estimator.binning",
    "discretization_range": 0.07,
    "callbacks": [],
    "plotters": [{"py/tuple": ["plotter.informationplane", []]}],
    "n_runs": 2,
    "seed": 0,
}
MOVIE = b"\0\0\0\x20ftypisom and so on"


def picture():
    stream = io.BytesIO()
    Figure(figsize=(1, 1)).savefig(stream, format="png")
    return stream.getvalue()


def table(shift):
    """What the original wrote with `to_csv()`: epoch and layer were its index."""
    index = pd.MultiIndex.from_product([[0, 10], [0, 1]], names=["epoch", "layer"])
    of_runs = [
        pd.DataFrame({"MI_XM": 2.0 + shift + run, "MI_YM": 0.5, "run": run}, index)
        for run in (0, 1)
    ]
    return pd.concat(of_runs).to_csv().encode()


def store(database, id_, activation_fn, artifacts, **config):
    """What the original's Sacred stored of an experiment."""
    files = gridfs.GridFS(database)
    address = "artifact://sacred_keras_example"
    stored = [
        {"name": name, "file_id": files.put(content, filename=f"{address}/{id_}/{name}")}
        for name, content in artifacts.items()
    ]
    metrics = [
        database.metrics.insert_one(
            {
                "run_id": id_,
                "name": name,
                "steps": [0, 10],
                "values": [0.5, value],
                "timestamps": [datetime(2018, 11, 1)] * 2,
            }
        )
        for name, value in (("training.loss", 0.25), ("validation.accuracy", 0.75))
    ]
    database.runs.insert_one(
        {
            "_id": id_,
            "format": "MongoObserver-0.7.0",
            "command": "conduct",
            "status": "COMPLETED",
            "start_time": datetime(2018, 11, 1, 12),
            "stop_time": datetime(2018, 11, 1, 13),
            "heartbeat": datetime(2018, 11, 1, 13),
            "config": CONFIG | {"activation_fn": activation_fn} | config,
            "info": {"metrics": [{"id": str(m.inserted_id), "name": "a"} for m in metrics]},
            "experiment": {
                "name": "sacred_keras_example",
                "base_dir": "/net/dneck",
                "mainfile": "experiment.py",
                "sources": [["experiment.py", files.put(b"import sacred", filename="source")]],
                "dependencies": ["h5py==2.8.0"],
                "repositories": [],
            },
            "host": {"hostname": "cippy", "os": ["Linux", "Linux-4"], "python_version": "3.6.7"},
            "meta": {"command": "conduct", "options": {"--name": None}},
            "artifacts": stored,
            "resources": [],
            "captured_out": "fit successful",
            "result": None,
        }
    )


@pytest.fixture(scope="module")
def place(mongo_uri):
    """Two experiments with both parts, and one of the year before with the full data."""
    both = {
        f"{name}_{part}": content
        for part in ("train", "test")
        for name, content in {
            "information_measures": table(part == "train"),
            "infoplane": picture(),
            "snr": picture(),
            "infoplane_movie": MOVIE,
        }.items()
    }
    early = {"information_measures": table(0), "infoplane": picture()}
    unknown = {"of_my_own": picture(), "states": b"\x89HDF\r\n\x1a\n", "words": b"words"}
    with pymongo.MongoClient(mongo_uri) as client:
        database = client["dneck"]
        store(database, 1, "tanh", both)
        store(database, 2, "relu", both)
        store(database, 3, "tanh", early | unknown, calculate_mi_for="full_dataset")
        yield {"mongo_uri": mongo_uri, "db_name": "dneck"}
        client.drop_database("dneck")


@pytest.fixture
def loader(place):
    return ExperimentLoader(**place)


def test_they_are_found_and_listed(loader):
    assert loader.find_by_name("keras").ids == [1, 2, 3]
    assert loader.find_by_config_key("config.activation_fn", "tanh").ids == [1, 3]
    assert loader.find({"metrics.test.accuracy": {"$gt": 0.7}}).ids == [1, 2, 3]
    table = loader.find_all().project(["activation_fn", "status", "test.accuracy"])
    assert table.to_numpy().tolist() == [
        ["tanh", "COMPLETED", 0.75],
        ["relu", "COMPLETED", 0.75],
        ["tanh", "COMPLETED", 0.75],
    ]


def test_types_are_known_by_name_and_first_bytes(loader):
    artifacts = loader.find_by_id(1).artifacts
    others = loader.find_by_id(3).artifacts

    assert isinstance(artifacts["snr_train"], PNGArtifact)
    assert isinstance(artifacts["infoplane_movie_test"], MP4Artifact)
    assert artifacts["infoplane_test"].img.shape == (100, 100, 4)
    assert artifacts["information_measures_test"].show()["MI_XM"].max() == 3
    assert isinstance(others["of_my_own"], PNGArtifact)
    assert isinstance(others["states"], HDF5Artifact)
    assert others["words"].extension == ""


def test_metrics_are_found_by_both_names(loader):
    metrics = loader.find_by_id(1).metrics

    assert metrics["test.accuracy"].tolist() == metrics["validation.accuracy"].tolist()
    assert metrics["training.loss"].index.tolist() == [0, 10]
    assert len(compare(loader.find_all(), "test.accuracy").axes) == 1


def test_tables_say_what_the_config_says_of_them(loader):
    both, early = loader.find_by_id(1), loader.find_by_id(3)

    measures = both.information_measures("binning", part="train")
    assert measures.groupby("run")["MI_XM"].mean().tolist() == [3, 4]
    assert both.information_measures("binning_0.07")["parameter"].unique().tolist() == ["0.07"]
    assert early.information_measures(part="full")["module"].unique().tolist() == ["binning"]
    with pytest.raises(MissingTableError, match=r"of the test data; it has information_measures$"):
        early.information_measures()


def test_planes_are_drawn(loader):
    tables = loader.find_by_ids([1, 2]).mean_measures(part="train")
    figure = loader.find_by_ids([1, 2]).plot_planes()

    assert tables["MI_XM"].unique().tolist() == [3.5]
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["1: activation_fn: tanh", "2: activation_fn: relu"]
    assert len(loader.find_by_ids([3]).plot_planes(part="full").axes[0].collections) == 1


def test_a_notebook_and_the_board_show_them(loader):
    client = create_app(loader).test_client()

    assert "<th>activation_fn</th><td>tanh</td>" in loader.find_by_id(1)._repr_html_()
    assert "tanh" in client.get("/").text
    page = client.get("/experiments/1").text
    assert "/experiments/1/files/infoplane_test" in page
    assert "<video" in page
    assert "validation.accuracy" in client.get("/curves/accuracy?id=1&id=2").text
    assert client.get("/experiments/1/files/snr_train").mimetype == "image/png"


def test_they_are_exported_with_the_suffixes_of_their_files(place, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MONGO_URI", place["mongo_uri"])
    monkeypatch.setenv("MONGO_DATABASE", place["db_name"])

    assert main(["export", str(tmp_path / "runs")]) == 0

    assert "3 of 3 experiments had something to move" in capsys.readouterr().out
    names = {path.name for path in (tmp_path / "runs" / "1").iterdir()}
    assert {"snr_train.png", "infoplane_movie_test.mp4", "information_measures_test.csv"} <= names
    exported = ExperimentLoader(path=tmp_path / "runs").find_by_id(3)
    assert exported.information_measures(part="full")["MI_XM"].max() == 3
    np.testing.assert_array_equal(
        exported.artifacts["infoplane"].img, exported.artifacts["of_my_own"].img
    )


def test_an_evaluation_of_the_original_runs_as_it_was_written_but_for_its_connection(place):
    """Its cells: a cohort by its config, planes and signal-to-noise ratios, means over runs."""
    from deep_bottleneck.eval_tools.experiment_loader import ExperimentLoader as Loader
    from deep_bottleneck.eval_tools.utils import find_differing_config_keys, format_config

    loader = Loader(mongo_uri=place["mongo_uri"], db_name=place["db_name"])
    experiments = loader.find_by_ids([1, 2])
    differing_config_keys = find_differing_config_keys(experiments)
    figure, axes = plt.subplots(2, 1)
    for ax, experiment in zip(axes, experiments, strict=True):
        ax.imshow(plt.imread(io.BytesIO(experiment.artifacts["infoplane_train"].content)))
        ax.set_title(format_config(experiment.config, *differing_config_keys))
    plt.close(figure)
    snr = [experiment.artifacts["snr_train"].show(figsize=(12, 16)) for experiment in experiments]
    tables = [
        experiment.artifacts["information_measures_test"].show() for experiment in experiments
    ]
    joined = pd.concat(tables)
    accuracy = experiments.project(["activation_fn", "validation.accuracy"])

    assert [ax.get_title() for ax in axes] == ["activation_fn: tanh", "activation_fn: relu"]
    assert [shown.get_size_inches().tolist() for shown in snr] == [[12, 16]] * 2
    assert tables[0].groupby(["epoch", "layer"]).mean()["MI_XM"].tolist() == [2.5] * 4
    assert joined.groupby(joined.index).mean()["MI_XM"].tolist() == [2] * 4 + [3] * 4
    assert accuracy.groupby("activation_fn")["validation.accuracy"].mean().tolist() == [0.75] * 2
