import json

import numpy as np
import pytest

from deep_bottleneck.config import Config
from deep_bottleneck.errors import ConfigError, RecordError
from deep_bottleneck.interfaces import METRICS
from deep_bottleneck.machine.processes import this_process
from deep_bottleneck.measuring import information_tables
from deep_bottleneck.measuring.activation_store import ActivationWriter
from deep_bottleneck.pipeline.reestimation import reestimate
from deep_bottleneck.storage.folder_store import FolderStore

UPPER = ["mi_estimator.upper", 0.1]
EXACT = "mi_estimator.exact"


@pytest.fixture
def record(tmp_path, tiny_dataset):
    """Stores an experiment of two epochs that kept its activations."""

    def record(status="COMPLETED", keeps=True, host=None, **changes):
        folder = tmp_path / "1"
        folder.mkdir()
        values = {"architecture": [3], "epochs": 2, "seed": 1, **changes}
        config = Config.parse({"plotters": ["plotter.informationplane"], **values})
        (folder / "config.json").write_text(json.dumps(config.defaults()))
        run = {"status": status, "start_time": "2026-01-01T00:00:00", "host": host or {}}
        (folder / "run.json").write_text(json.dumps(run))
        if keeps:
            write_activations(folder / "activations.h5", tiny_dataset)
        return folder

    return record


def write_activations(path, dataset):
    generator = np.random.default_rng(0)
    with ActivationWriter(path, dataset, [3, 2], 1, 2) as writer:
        for epoch in range(2):
            recorded = {
                part: [
                    generator.random((1, len(getattr(dataset, part)), units)).astype(np.float32)
                    for units in (3, 2)
                ]
                for part in ("train", "test")
            }
            writer.write_activations(epoch, [0], recorded)
            writer.write_metrics(epoch, dict.fromkeys(METRICS, np.full((1, 1), 0.5)))


@pytest.fixture
def estimated(monkeypatch):
    """The parts of the data in the order in which tables of them are estimated."""
    parts = []

    def store(table):
        parts.append(table["part"].iloc[0])
        return original(table)

    original = information_tables._say_if_saturated
    monkeypatch.setattr(information_tables, "_say_if_saturated", store)
    return parts


def forget(folder, *names):
    """Take artifacts out of a record, as if a call had been interrupted before it stored them."""
    path = folder / "run.json"
    run = json.loads(path.read_text())
    run["artifacts"] = [name for name in run["artifacts"] if name not in names]
    path.write_text(json.dumps(run))
    for file in folder.iterdir():
        if file.stem in names:
            file.unlink()


def files(folder):
    return {
        path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".csv", ".png")
    }


def test_without_activations_there_is_nothing_to_estimate_from(record):
    with pytest.raises(RecordError, match='"keep_activations": true'):
        reestimate(record(keeps=False), ["mi_estimator.lower"])


def test_every_part_has_its_tables_and_pictures(record):
    added = reestimate(record(), [UPPER])

    assert set(added) == {
        f"{kind}_upper_0.1_{part}"
        for kind in ("information_measures", "trust", "infoplane", "trust_plot")
        for part in ("train", "test")
    }


def test_where_nothing_is_missing_nothing_is_replaced(record):
    folder = record()
    reestimate(folder, [UPPER])

    with pytest.raises(ConfigError, match=r"has been estimated with upper_0\.1 already"):
        reestimate(folder, [UPPER])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("missing", "parts"),
    [
        (["information_measures_{}_test", "trust_{}_test", "infoplane_{}_test"], ["test"]),
        (["trust_{}_train", "trust_{}_test", "trust_plot_{}_test"], []),
        (["infoplane_{}_train"], []),
    ],
    ids=["a part", "trust reports", "a picture"],
)
@pytest.mark.parametrize("estimator", [UPPER, EXACT], ids=["upper_0.1", "exact"])
def test_what_was_interrupted_is_completed(record, estimated, missing, parts, estimator):
    folder = record(quantize_bits=2)
    added = reestimate(folder, [estimator])
    whole = files(folder)
    name = "upper_0.1" if estimator is UPPER else "exact"
    lost = [artifact.format(name) for artifact in missing]
    forget(folder, *lost)
    estimated.clear()

    assert set(reestimate(folder, [estimator])) == set(lost)

    assert estimated == parts
    assert files(folder) == whole
    assert set(FolderStore(folder.parent).entries([1])[1].artifacts) == set(added)


@pytest.mark.slow
def test_estimators_that_have_measured_already_are_drawn_with_those_that_have_not(
    record, estimated
):
    folder = record(calculate_mi_for=["test"], plotters=["plotter.interactive"])
    reestimate(folder, [UPPER])

    added = reestimate(folder, [UPPER, "mi_estimator.binning"])

    assert estimated == ["test", "test"]
    assert "infoplane_interactive_upper_0.1_binning_0.07" in added


@pytest.mark.parametrize(
    ("stored", "sentence"),
    [
        ({"status": "RUNNING"}, "1 in .* is LOST; it can be estimated again once it has ended"),
        ({"status": "RUNNING", "host": {"process": this_process()}}, "is RUNNING; it can"),
        ({"calculate_mi_for": []}, r'has "calculate_mi_for": \[\]: there is no part of the data'),
    ],
)
def test_what_cannot_be_added_is_not_estimated(record, estimated, stored, sentence):
    with pytest.raises(RecordError, match=sentence):
        reestimate(record(**stored), [UPPER])

    assert estimated == []


def test_an_unknown_estimator_is_named(record):
    with pytest.raises(ConfigError, match=r"did you mean mi_estimator\.upper"):
        reestimate(record(), ["mi_estimator.uper"])


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [("run.json", None, "there is no run.json"), ("config.json", "{", "cannot be read")],
)
def test_a_broken_record_says_what_is_wrong(record, name, content, sentence):
    folder = record()
    (folder / name).unlink()
    if content:
        (folder / name).write_text(content)

    with pytest.raises(RecordError, match=sentence):
        reestimate(folder, ["mi_estimator.lower"])
