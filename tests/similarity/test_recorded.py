import numpy as np
import pandas as pd
import pytest

from deep_bottleneck.measuring.activation_store import ActivationStore, ActivationWriter
from deep_bottleneck.similarity import (
    SVCCA,
    KernelCKA,
    LinearCKA,
    cka,
    similarity_of_layers,
    similarity_of_runs,
    similarity_to_final,
)
from deep_bottleneck.similarity.recorded import COLUMNS

UNITS = (5, 3)


class Recorded:
    """Two layers of three runs at epochs 0, 2 and 7; run 1 stops at epoch 2."""

    epochs = (0, 2, 7)
    n_layers = len(UNITS)
    layer_names = ("first", "second")

    def __init__(self, seed=0):
        self.examples = np.random.default_rng(0).standard_normal((40, 4)).astype(np.float32)
        self.labels = np.arange(40) % 2
        self.seed = seed

    def runs(self, epoch):
        return np.array([0, 2]) if epoch == 7 else np.array([0, 1, 2])

    def of_run(self, run, epoch, layer):
        generator = np.random.default_rng((self.seed, run, epoch, layer))
        weights = generator.standard_normal((4, UNITS[layer]))
        return np.tanh(self.examples @ weights).astype(np.float32)

    def layer(self, epoch, layer):
        return np.stack([self.of_run(run, epoch, layer) for run in self.runs(epoch)])


def expected(row, recording, other=None):
    ours = recording.of_run(row["run"], row["epoch"], row["layer"])
    theirs = (other or recording).of_run(row["other_run"], row["other_epoch"], row["other_layer"])
    return cka(ours, theirs).item()


def assert_right(table, recording, other=None):
    assert tuple(table.columns) == COLUMNS
    assert (table["measure"] == "CKA").all()
    right = [expected(row, recording, other) for row in table.to_dict("records")]
    np.testing.assert_allclose(table["similarity"], right)


def test_every_layer_with_every_layer_at_the_end_of_each_run():
    recording = Recorded()

    table = similarity_of_layers(recording, LinearCKA())

    assert_right(table, recording)
    assert len(table) == 3 * 2 * 2
    assert table.groupby("run")["epoch"].first().to_dict() == {0: 7, 1: 2, 2: 7}
    own = table[table["layer"] == table["other_layer"]]
    np.testing.assert_allclose(own["similarity"], 1)


def test_layers_at_two_epochs_of_two_recordings():
    recording, other = Recorded(), Recorded(seed=1)

    table = similarity_of_layers(recording, LinearCKA(), 0, other, 7)

    assert_right(table, recording, other)
    assert set(table["run"]) == {0, 2}
    assert set(table["epoch"]) == {0}
    assert set(table["other_epoch"]) == {7}


@pytest.mark.parametrize("measure", [LinearCKA(), SVCCA(), KernelCKA(batch_size=10)])
def test_each_layer_ends_as_its_final_self(measure):
    recording = Recorded()

    table = similarity_to_final(recording, measure)

    assert len(table) == 2 * (3 + 3 + 2)
    last = table[table["epoch"] == table["other_epoch"]]
    assert len(last) == 2 * 3
    np.testing.assert_allclose(last["similarity"], 1)
    assert table.drop(last.index)["similarity"].max() < 0.999


def test_similarity_to_the_final_self_of_itself_and_of_another_recording():
    recording, other = Recorded(), Recorded(seed=1)

    assert_right(similarity_to_final(recording, LinearCKA()), recording)
    assert_right(similarity_to_final(recording, LinearCKA(), other), recording, other)


def test_every_run_with_every_run():
    recording, other = Recorded(), Recorded(seed=1)

    table = similarity_of_runs(recording, LinearCKA())
    assert_right(table, recording)
    assert len(table) == 3 * 3 * 2

    table = similarity_of_runs(recording, LinearCKA(), 0, other, 7)
    assert_right(table, recording, other)
    assert len(table) == 3 * 2 * 2


def test_what_is_not_defined_is_nan_and_the_log_says_why(caplog):
    recording = Recorded()
    recording.of_run = lambda run, epoch, layer: np.full((40, 2), float(layer * run))

    table = similarity_of_layers(recording, LinearCKA())

    assert table["similarity"].isna().all()
    assert "CKA is NaN in 12 of 12 places, the first at epoch 7, layer 0" in caplog.text


def test_bad_input():
    recording, other = Recorded(), Recorded()
    other.examples = other.examples + 1
    with pytest.raises(ValueError, match="only be compared on the same examples"):
        similarity_of_runs(recording, LinearCKA(), other=other)
    with pytest.raises(ValueError, match="epoch 3 was not recorded; the nearest that was is 2"):
        similarity_of_layers(recording, LinearCKA(), epoch=3)
    other = Recorded()
    other.runs = lambda epoch: np.array([5])
    with pytest.raises(ValueError, match=r"no run is in both .* \[0, 1, 2\] and \[5\]"):
        similarity_of_layers(recording, LinearCKA(), other=other)


@pytest.mark.parametrize("compare", [similarity_of_layers, similarity_of_runs, similarity_to_final])
def test_of_an_empty_recording_nothing_is_similar(compare):
    recording = Recorded()
    recording.epochs = ()

    with pytest.raises(ValueError, match="the recording is empty: no epoch of any run"):
        compare(recording, LinearCKA())


def test_a_store_on_disk(tmp_path, tiny_dataset):
    generator = np.random.default_rng(0)
    path = tmp_path / "activations.h5"
    values = {
        part: [generator.standard_normal((2, n, units)) for units in UNITS]
        for part, n in (("train", 50), ("test", 20))
    }
    with ActivationWriter(path, tiny_dataset, UNITS, 2, 1) as writer:
        writer.write_activations(0, [0, 1], values)

    with ActivationStore(path) as store:
        table = similarity_of_layers(store.part("test"), LinearCKA())

    found = table.set_index(["run", "layer", "other_layer"])["similarity"]
    right = cka(*(layer.astype(np.float32) for layer in values["test"]))
    assert isinstance(found, pd.Series)
    np.testing.assert_allclose(found.xs((0, 1), level=("layer", "other_layer")), right)
