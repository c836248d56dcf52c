"""Four experiments, stored at once in a local record and in a database."""

import h5py
import numpy as np
import pandas as pd
import pymongo
import pytest
import sacred
from matplotlib.figure import Figure

from deep_bottleneck.eval_tools import ExperimentLoader
from deep_bottleneck.storage import observers

CONFIGS = [
    {"epochs": 10, "activation_fn": "tanh", "nested": {"depth": 1}, "seed": 1},
    {"epochs": 10, "activation_fn": "tanh", "nested": {"depth": 1}, "seed": 2},
    {"epochs": 20, "activation_fn": "relu", "nested": {"depth": 2}, "seed": 3},
    {"epochs": 20, "activation_fn": "fails", "nested": {"depth": 2}, "seed": 4},
]


def measures(config, estimator="binning"):
    """Information that grows with the layer, shifted by the run's number."""
    index = pd.MultiIndex.from_product([[0, 1], [0, 5], [0, 1, 2]], names=["run", "epoch", "layer"])
    table = index.to_frame(index=False)
    information = table["layer"] + table["run"] + config["nested"]["depth"]
    return table.assign(estimator=estimator, parameter="0.07", MI_XM=information, MI_YM=1.0)


def store_experiment(config, environment, scratch, name="deep-bottleneck"):
    """Run a Sacred experiment that leaves metrics and an artifact of each type."""
    ex = sacred.Experiment(name, save_git_info=False)
    ex.add_config(config)
    ex.observers.extend(observers.configured(environment, scratch / "no such file"))

    @ex.main
    def main(_run, _config):
        for epoch in range(_config["epochs"]):
            _run.log_scalar("training.loss", 1 / (epoch + 1), epoch)
            _run.log_scalar("test.accuracy", 0.5 + epoch * (epoch < 8) / 16, epoch)
        Figure().savefig(scratch / "plane.png")
        measures(_config).to_csv(scratch / "measures.csv", index=False)
        (scratch / "page.html").write_text("<p>a page</p>")
        (scratch / "film.mp4").write_bytes(b"a film")
        (scratch / "notes.txt").write_text("notes")
        with h5py.File(scratch / "states.h5", "w") as file:
            file["layer"] = np.arange(6).reshape(2, 3)
        _run.add_artifact(scratch / "plane.png", "infoplane_test")
        _run.add_artifact(scratch / "measures.csv", "information_measures_test")
        for kind in ("page.html", "film.mp4", "notes.txt", "states.h5"):
            _run.add_artifact(scratch / kind, kind.partition(".")[0])
        if _config["activation_fn"] == "fails":
            raise RuntimeError("on purpose")
        return {"test": _config["seed"] / 10}

    try:
        return ex.run()
    except RuntimeError:
        return ex.current_run


@pytest.fixture(scope="module")
def places(tmp_path_factory, mongo_uri, request):
    """Where the four experiments are, for each kind of store what finds its loader."""
    folder = tmp_path_factory.mktemp("stored")
    name = f"evaluation_{abs(hash(request.node.name))}"
    environment = {"DEEP_BOTTLENECK_RUNS": str(folder / "runs")}
    database = {"MONGO_URI": mongo_uri, "MONGO_DATABASE": name}
    for config in CONFIGS:
        store_experiment(config, {**environment, **database}, folder)
    yield {
        "local": {"path": folder / "runs"},
        "database": {"mongo_uri": mongo_uri, "db_name": name},
    }
    with pymongo.MongoClient(mongo_uri) as client:
        client.drop_database(name)


@pytest.fixture(params=["local", "database"])
def place(request, places):
    """Each store in turn."""
    return places[request.param]


@pytest.fixture
def loader(place):
    """Finds the four experiments."""
    return ExperimentLoader(**place)
