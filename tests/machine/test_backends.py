"""The same experiment on another backend: same weights and batches, same losses."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from deep_bottleneck.training.ensemble import Ensemble
from deep_bottleneck.training.recorder import Recorder

ROOT = Path(__file__).resolve().parents[2]
TENSORFLOW = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="needs requirements/tensorflow.txt"
)

TRAIN = """
import sys
import numpy as np
from deep_bottleneck.training.ensemble import Ensemble
from deep_bottleneck.training.recorder import Recorder
from deep_bottleneck.interfaces import Dataset, LabelledDataset
from deep_bottleneck.models import feedforward

data = np.load(sys.argv[1])
part = lambda name: LabelledDataset.from_labels(data[name + "_x"], data[name + "_y"], 2)

class Losses(Recorder):
    values = []
    def on_group_epoch_end(self, epoch, group, logs, stopping):
        self.values.append([float(logs[name][0]) for name in ("loss", "val_loss")])
        self.gradients = [layer[0] for layer in next(iter(group.gradients(epoch)))]
        self.activations = [layer[0] for layer in group.activations(data["test_x"])]

models = []
for run in range(2):
    model = feedforward.load([5, 3], "tanh", "adam", 0.01, 4, 2, max_norm_weights=1.0)
    model.set_weights([data[f"weight_{run}_{i}"] for i in range(6)])
    models.append(model)
losses = Losses()
Ensemble(models, seed=1).fit(Dataset(part("train"), part("test"), 2), 4, 16, recorders=[losses])
np.savez(sys.argv[2], losses=losses.values, **{f"g{i}": g for i, g in enumerate(losses.gradients)},
         **{f"a{i}": a for i, a in enumerate(losses.activations)})
"""


class Losses(Recorder):
    def __init__(self):
        super().__init__()
        self.values = []

    def on_group_epoch_end(self, epoch, group, logs, stopping):
        self.values.append([logs["loss"], logs["val_loss"]])
        self.gradients = [layer[1] for layer in next(iter(group.gradients(epoch)))]
        self.activations = [layer[1] for layer in group.activations(self.examples)]


@pytest.mark.slow
@pytest.mark.parametrize("backend", [pytest.param("tensorflow", marks=TENSORFLOW), "torch"])
def test_another_backend_gives_the_same_losses(make_models, tiny_dataset, tmp_path, backend):
    models = make_models(2, max_norm_weights=1.0)
    weights = {
        f"weight_{run}_{i}": value
        for run, model in enumerate(models)
        for i, value in enumerate(model.get_weights())
    }
    parts = {
        f"{name}_{short}": getattr(getattr(tiny_dataset, name), field)
        for name in ("train", "test")
        for short, field in (("x", "examples"), ("y", "labels"))
    }
    np.savez(tmp_path / "problem.npz", **weights, **parts)
    command = [sys.executable, "-c", TRAIN, tmp_path / "problem.npz", tmp_path / "results.npz"]
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)}

    subprocess.run(command, env=environment, check=True, capture_output=True)
    losses = Losses()
    losses.examples = tiny_dataset.test.examples
    Ensemble(models, seed=1).fit(tiny_dataset, 4, 16, recorders=[losses])

    # the other trained run 0, then run 1; jax both together
    theirs = np.load(tmp_path / "results.npz")
    ours = np.array(losses.values)
    np.testing.assert_allclose(theirs["losses"][:4], ours[:, :, 0], atol=1e-4)
    np.testing.assert_allclose(theirs["losses"][4:], ours[:, :, 1], atol=1e-4)
    for layer in range(3):
        np.testing.assert_allclose(theirs[f"g{layer}"], losses.gradients[layer], atol=1e-4)
        np.testing.assert_allclose(theirs[f"a{layer}"], losses.activations[layer], atol=1e-4)


@TENSORFLOW
@pytest.mark.slow
def test_an_experiment_on_another_backend_stores_the_same_shape(tmp_path):
    shapes = {}
    for backend in ("jax", "torch", "tensorflow"):
        runs = tmp_path / backend
        command = [sys.executable, ROOT / "experiment.py", "with", "configs/basic.json"]
        command += ["epochs=2", "n_runs=2", "architecture=[3]", f"backend={backend}"]
        command += ["callbacks=['callbacks.gradient_logger']"]
        environment = {**os.environ, "DEEP_BOTTLENECK_RUNS": str(runs)}
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
        table = (runs / "1" / "information_measures_test.csv").read_text().splitlines()
        shapes[backend] = [line.split(",")[:3] for line in table]

    assert shapes["jax"] == shapes["torch"] == shapes["tensorflow"]
