import os
import shutil
from collections import namedtuple

import pytest

from deep_bottleneck.config import Config
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.pipeline import needs
from deep_bottleneck.pipeline.needs import Size
from deep_bottleneck.training.schedule import default_schedule

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def machine(monkeypatch):
    """A machine of a size of one's own."""

    def machine(memory=10**12, free=10**12):
        sizes = {"SC_PAGE_SIZE": 1, "SC_PHYS_PAGES": memory}
        monkeypatch.setattr(os, "sysconf", sizes.__getitem__)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(free, 0, free))

    return machine


def of_config(**values):
    config = Config.parse(values)
    return config, Size.of_config(config, has_architecture=True)


def test_ordinary_experiments_fit(machine, tmp_path):
    machine(memory=4 * 10**9, free=10**9)

    needs.check(*of_config(), tmp_path / "not there yet")
    needs.check(*of_config(n_runs=1000, epochs=8000), tmp_path)
    needs.check(*of_config(architecture=[2000, 2000]), tmp_path)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"n_runs": 10**7, "architecture": [10]},
            "An experiment of 10,000,000 networks with at least 10 weights over 1,000 epochs "
            "takes at least 880 GB of memory, and this machine has 25 GB: ",
        ),
        (
            {"architecture": [10**7, 10**7]},
            "with at least 100,000,010,000,000 weights over 1,000 epochs takes at least 400 TB",
        ),
        ({"epochs": 10**7, "n_runs": 1000}, "over 10,000,000 epochs takes at least"),
        ({"steps_per_epoch": 10**7, "batch_size": 10**7}, "takes at least 800 TB of memory"),
    ],
)
def test_what_exceeds_the_memory_is_refused_with_the_figure(machine, tmp_path, values, sentence):
    machine(memory=25 * 10**9)

    with pytest.raises(ConfigError) as refused:
        needs.check(*of_config(**values), tmp_path)

    assert sentence in str(refused.value)


def test_callbacks_may_end_training_early(machine, tmp_path):
    machine(memory=4 * 10**9, free=10**9)

    needs.check(*of_config(epochs=10**7, callbacks=["callbacks.earlystopping_manual"]), tmp_path)


def test_activations_that_are_kept_count_as_files(machine, tmp_path):
    machine(free=10**9)
    config = Config.parse({"n_runs": 10, "epochs": 50, "calculate_mi_for": ["test"]})
    needs.check(config, Size(300, [100, 100], n_examples=10_000), tmp_path)

    # 4 bytes of 10 runs, 50 epochs, 10,000 examples and 200 units
    with pytest.raises(ConfigError, match=r"leaves at least 4 GB of files, and .* has 1 GB left"):
        needs.check(config, Size(300, [100, 100], 10_000, keeps_activations=True), tmp_path)


def test_another_model_is_not_made_of_the_layers_of_the_config():
    config = Config.parse({"architecture": [10**7, 10**7]})

    assert Size.of_config(config, has_architecture=False) == Size(0, ())


@pytest.mark.parametrize("epochs", [1, 50, 99, 1999, 2000, 2001, 2100, 2101, 12_345])
def test_epochs_are_counted_as_they_are_recorded(epochs):
    assert needs._n_recorded(epochs) == sum(map(default_schedule, range(epochs)))
