"""A local record on a disk that is full: a small file system of its own."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from faults import DATABASE, assert_complete, said_by_storage

from deep_bottleneck.errors import DiskFullError
from deep_bottleneck.eval_tools import ExperimentLoader
from deep_bottleneck.measuring.activation_store import ActivationStore, ActivationWriter
from deep_bottleneck.storage import observers

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def disk(tmp_path):
    """A disk of 12 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk):
    with (disk / "filler").open("wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(1024))
        except OSError:
            pass


def size_of(path):
    return path.stat().st_size if path.exists() else 0


def test_a_disk_that_is_full_for_a_while_costs_nothing_but_artifacts(
    disk, server, experiment, caplog
):
    experiment(
        server.uri,
        fault=lambda: fill(disk),
        at_end=(disk / "filler").unlink,
        runs=disk / "runs",
    )

    stored = ExperimentLoader(path=disk / "runs").find_by_id(1)
    assert stored.status == "COMPLETED"
    assert stored.metrics["test.accuracy"].tolist() == [0.5, 0.75]
    assert set(stored.artifacts) == {"before"}
    (sentence,) = said_by_storage(caplog)
    assert "cannot be written (No space left on device)" in sentence
    assert_complete(ExperimentLoader(server.uri, DATABASE).find_by_id(1))


def test_on_a_disk_that_stays_full_the_record_ends_with_what_it_had(
    disk, server, experiment, caplog
):
    experiment(server.uri, fault=lambda: fill(disk), runs=disk / "runs")

    stored = ExperimentLoader(path=disk / "runs").find_by_id(1)
    assert stored.status == "COMPLETED"
    assert stored.metrics["test.accuracy"].tolist() == [0.5, 0.75]
    assert stored.artifacts["before"].read() == b"a" * 1000
    (sentence,) = said_by_storage(caplog)
    assert "cannot be written (No space left on device)" in sentence
    assert not list((disk / "runs" / "1").glob(".*.unfinished"))


def test_nothing_starts_on_a_full_disk(disk):
    fill(disk)

    with pytest.raises(DiskFullError, match="cannot be written: No space left on device"):
        observers.configured({"DEEP_BOTTLENECK_RUNS": str(disk / "runs")}, disk / "no such file")


class FillsWhenRead(list):
    """Layers of a recorded epoch that are read for the second time when they are written."""

    def __init__(self, layers, disk):
        super().__init__(layers)
        self.disk = disk
        self.reads = 0

    def __iter__(self):
        self.reads += 1
        if self.reads == 2:
            fill(self.disk)
        return super().__iter__()


def test_an_epoch_is_stored_though_others_fill_the_disk_while_it_is_written(disk, tiny_dataset):
    path = disk / "activations.h5"
    values = np.random.default_rng(0).normal(size=(1, len(tiny_dataset.test), 2000))
    layers = FillsWhenRead([values.astype(np.float32)], disk)

    with (
        pytest.raises(OSError, match="No space left on device"),
        ActivationWriter(path, tiny_dataset, [2000], 1, 10) as writer,
    ):
        writer.write_activations(0, [0], {"test": layers})
        assert (disk / "filler").stat().st_size
        writer.write_activations(1, [0], {"test": layers})

    with ActivationStore(path) as store:
        assert store.part("test").epochs == [0]
        np.testing.assert_array_equal(store.part("test").layer(0, 0), layers[0])


@pytest.mark.slow
def test_training_ends_in_one_sentence_and_keeps_what_it_recorded(disk):
    outside = {name: value for name, value in os.environ.items() if not name.startswith("MONGO")}
    # it would fit, and an epoch takes a second, so that the disk is filled in the middle
    updates = ["seed=0", "epochs=12", "steps_per_epoch=10000", "keep_activations=True"]
    record = disk / "runs" / "1"

    with subprocess.Popen(
        [sys.executable, "experiment.py", "with", "configs/basic.json", "n_runs=1", *updates],
        cwd=ROOT,
        env={**outside, "DEEP_BOTTLENECK_RUNS": str(disk / "runs")},
        stderr=subprocess.PIPE,
        text=True,
    ) as experiment:
        while size_of(record / "activations.h5") < 2**20 and experiment.poll() is None:
            time.sleep(0.05)
        fill(disk)
        _, said = experiment.communicate()

    assert experiment.returncode == 74, said
    (sentence,) = [line for line in said.splitlines() if line.startswith("error: ")]
    assert str(record) in sentence
    assert "cannot be written: No space left on device" in sentence
    assert "Traceback" not in said
    assert json.loads((record / "run.json").read_text())["status"] == "FAILED"
    with ActivationStore(record / "activations.h5") as store:
        assert len(store.part("test").epochs) > 1
