"""A watch as a record: beside all others, and while it grows."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from deep_bottleneck import watch
from deep_bottleneck.eval_tools import ExperimentLoader


@pytest.fixture
def begun(tmp_path):
    """Makes a watch of a small network."""

    def begun(**options):
        model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
        data = torch.rand(40, 4), torch.arange(40) % 2
        return watch(model, data=data, estimators="binning=0.2", **options)

    return begun


def test_what_is_saved_is_found_with_its_tables(begun, tmp_path):
    watched = begun(measures=["efficiency"])
    watched.step(accuracy=0.5)

    first, second = watched.save(tmp_path), watched.save(tmp_path)

    assert (first, second) == (1, 2)
    found = ExperimentLoader(path=tmp_path).find_by_id(1)
    assert found.status == "COMPLETED"
    assert {"efficiency", "infoplane_full", "layers", "trust_full"} <= set(found.artifacts)
    assert found.metrics["accuracy"].tolist() == [0.5]


def test_a_record_can_be_read_while_it_grows(begun, tmp_path):
    watched = begun(save=tmp_path)
    loader = ExperimentLoader(path=tmp_path)
    for n_steps in (1, 2):
        watched.step()
        table = (tmp_path / "1" / "information_measures_full.csv").read_text()
        assert table.count("\n") == 1 + 2 * n_steps
        assert loader.find_by_id(1).status == "RUNNING"

    watched.close()

    assert loader.find_by_id(1).status == "COMPLETED"


@pytest.mark.parametrize(
    ("error", "status"), [(RuntimeError, "FAILED"), (KeyboardInterrupt, "INTERRUPTED")]
)
def test_a_record_says_how_training_ended(begun, tmp_path, error, status):
    with pytest.raises(error), begun(save=tmp_path) as watched:
        watched.step()
        raise error

    assert ExperimentLoader(path=tmp_path).find_by_id(1).status == status


def test_a_watch_needs_none_of_what_experiments_need(tmp_path):
    script = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {{"keras", "jax", "tensorflow", "sacred", "pymongo", "flask"}}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
import torch
import deep_bottleneck

model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2))
data = torch.rand(40, 4), torch.arange(40) % 2
w = deep_bottleneck.watch(model, data, measures=["similarity", "efficiency", "gradient_noise"],
                          batch_size=10, loss=torch.nn.functional.cross_entropy)
w.step()
w.plot("similarity"), w.plot("efficiency"), w.trust()
w.save({str(tmp_path)!r})
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
