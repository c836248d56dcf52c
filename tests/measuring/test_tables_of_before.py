"""Tables are those that the version before made, of a training that it recorded.

Three networks, two of which stop early, seen through two estimators. Ceilings alone are others:
two of the flowers have the same measurements, and the version before took all inputs to differ.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from deep_bottleneck.config import Config
from deep_bottleneck.interfaces import Dataset, LabelledDataset
from deep_bottleneck.measuring.activation_store import ActivationStore
from deep_bottleneck.measuring.estimators import estimator_plug_ins
from deep_bottleneck.measuring.information_recorder import InformationRecorder, inputs_of
from deep_bottleneck.measuring.information_tables import InformationTables
from deep_bottleneck.measuring.tables import Tables, read_table
from deep_bottleneck.training.schedule import default_schedule

RECORD = Path(__file__).resolve().parents[1] / "stored" / "before" / "complete"
EPOCHS = 14
PARTS = ("train", "test")
NEW_COLUMNS = ["module", "discretization_range", "options"]


class Artifacts:
    def add_artifact(self, filename, name):
        pass


@pytest.fixture
def store():
    with ActivationStore(RECORD / "activations.h5") as store:
        yield store


@pytest.fixture
def observers(tmp_path):
    """Makes the empty tables of all parts, for inputs by part."""

    def make(inputs, **options):
        estimators = [["mi_estimator.binning", 0.3], ["mi_estimator.upper", 0.1]]
        plug_ins = estimator_plug_ins(Config.parse({"estimator": estimators}))
        tables = Tables(Artifacts(), tmp_path)
        return tables, [
            InformationTables(part, plug_ins, {}, inputs(part), tables, **options) for part in PARTS
        ]

    return make


class Replayed:
    """The recorded networks as a group of runs that train."""

    def __init__(self, store, dataset, epoch):
        self._store = store
        self._parts = {id(getattr(dataset, part).examples): part for part in PARTS}
        self._epoch = epoch
        self.runs = store.part("test").runs(epoch).tolist()

    def outputs(self, examples):
        recording = self._store.part(self._parts[id(examples)])
        return [recording.layer(self._epoch, layer) for layer in range(recording.n_layers)]


def dataset_of(store):
    def part(name):
        recorded = store.part(name)
        return LabelledDataset.from_labels(recorded.examples, recorded.labels, n_classes=3)

    return Dataset(part("train"), part("test"), n_classes=3)


def train(recorder, store, dataset, epochs):
    recording = store.part("test")
    for epoch in epochs:
        group = Replayed(store, dataset, epoch)
        goes_on = recording.runs(epoch + 1) if epoch + 1 in recording.epochs else []
        recorder.on_group_epoch_end(epoch, group, {}, ~np.isin(group.runs, goes_on))
    recorder.settle()


def entropy_of_inputs(store, part):
    examples = store.part(part).examples
    _, counts = np.unique(examples, axis=0, return_counts=True)
    return -np.sum(counts / len(examples) * np.log2(counts / len(examples)))


def without_ceilings(table):
    """The rest of a table, and its ceilings, which stand in a column or in rows."""
    if "ceiling" in table:
        return table.drop(columns="ceiling"), table["ceiling"].to_numpy()
    bounds = table["check"] == "ceiling"
    return table[~bounds], table.loc[bounds, ["value", "lowest", "highest"]].to_numpy()


def assert_as_before(tables, store):
    entropies = {part: entropy_of_inputs(store, part) for part in PARTS}
    assert entropies["train"] < np.log2(120) - 0.01
    stored = {path.stem: path for path in RECORD.glob("*.csv")}
    assert set(stored) == set(tables.by_name)
    for name, path in stored.items():
        before = read_table(path.read_bytes())
        now = read_table(tables.by_name[name].to_csv(index=False).encode())
        now = now.drop(columns=NEW_COLUMNS, errors="ignore")
        (now, ceilings), (before, most) = without_ceilings(now), without_ceilings(before)
        entropy = entropies[name.rpartition("_")[2]]
        np.testing.assert_allclose(ceilings, np.minimum(most, entropy), rtol=1e-12)
        # binning counts; distances are rounded as the processor likes
        precision = {"check_exact": True} if "binning" in name else {"rtol": 1e-12}
        pd.testing.assert_frame_equal(now, before, **precision)


def test_of_a_recording(store, observers):
    tables, observing = observers(store.part)

    for of_part in observing:
        of_part.replay(store.part(of_part.part))
        of_part.store(store.metrics())

    assert_as_before(tables, store)


@pytest.mark.parametrize("interrupted_after", [None, 1, 2, 7])
def test_of_networks_that_train_and_go_on_after_an_interruption(
    store, observers, interrupted_after
):
    dataset = dataset_of(store)

    def recorder():
        tables, observing = observers(lambda part: inputs_of(dataset, part))
        made = InformationRecorder(
            observing, dataset, default_schedule, EPOCHS, may_stop_early=True
        )
        return tables, observing, made

    tables, observing, recording = recorder()
    first = 0
    if interrupted_after is not None:
        first = interrupted_after + 1
        train(recording, store, dataset, range(first))
        state = recording.state()
        tables, observing, recording = recorder()
        recording.restore(state)
    train(recording, store, dataset, range(first, EPOCHS))
    for of_part in observing:
        of_part.store(store.metrics())

    assert_as_before(tables, store)


def test_tables_say_how_the_config_names_their_estimator(store, observers):
    _, (of_train, _) = observers(store.part)
    of_train.replay(store.part("train"))

    found = of_train.store(store.metrics())

    named = {
        (name.estimator, name.part): table[NEW_COLUMNS].iloc[0].tolist()
        for name, table in found.items()
    }
    assert named == {
        ("binning", "train"): ["binning", 0.3, ""],
        ("upper", "train"): ["upper", 0.1, ""],
    }
