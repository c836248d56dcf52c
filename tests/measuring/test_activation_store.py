import os
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

from deep_bottleneck.errors import RecordError
from deep_bottleneck.interfaces import Dataset, LabelledDataset
from deep_bottleneck.measuring.activation_store import ActivationStore, ActivationWriter

UNITS = (3, 2)


def activations(seed, n_runs, dataset):
    generator = np.random.default_rng(seed)
    return {
        part: [
            generator.standard_normal((n_runs, len(getattr(dataset, part)), units), np.float32)
            for units in UNITS
        ]
        for part in ("train", "test")
    }


@pytest.fixture
def path(tmp_path):
    return tmp_path / "activations.h5"


@pytest.fixture
def writer(path, tiny_dataset):
    with ActivationWriter(path, tiny_dataset, UNITS, n_runs=3, epochs=10) as writer:
        yield writer


def test_what_was_written_is_read_while_the_writer_is_still_open(path, writer, tiny_dataset):
    first, second = activations(0, 3, tiny_dataset), activations(1, 3, tiny_dataset)
    writer.write_activations(0, [0, 1, 2], first)
    writer.write_activations(20, [0, 1, 2], second)

    with ActivationStore(path) as store:
        test = store.part("test")

        assert test.epochs == [0, 20]
        assert test.n_layers == 2
        assert test.runs(20).tolist() == [0, 1, 2]
        np.testing.assert_array_equal(test.layer(20, 1), second["test"][1])
        np.testing.assert_array_equal(test.labels, tiny_dataset.test.labels)


@pytest.mark.parametrize("content", [None, b"no HDF5"])
def test_what_cannot_be_copied_is_named(writer, tmp_path, content):
    before = tmp_path / "before.h5"
    if content:
        before.write_bytes(content)

    with pytest.raises(RecordError, match=r"cannot read the activation store .*before\.h5"):
        writer.copy(before)


def test_full_is_train_and_test_one_after_the_other(path, writer, tiny_dataset):
    written = activations(0, 3, tiny_dataset)
    writer.write_activations(0, [0, 1, 2], written)

    with ActivationStore(path) as store:
        full = store.part("full")

        expected = np.concatenate([written["train"][0], written["test"][0]], axis=1)
        np.testing.assert_array_equal(full.layer(0, 0), expected)
        assert len(full.labels) == len(tiny_dataset.train) + len(tiny_dataset.test)


def test_examples_are_kept_flat(path, writer, tiny_dataset):
    with ActivationStore(path) as store:
        expected = np.concatenate([tiny_dataset.train.examples, tiny_dataset.test.examples])

        np.testing.assert_array_equal(store.part("train").examples, tiny_dataset.train.examples)
        np.testing.assert_array_equal(store.part("full").examples, expected)


def test_examples_may_be_pictures(path):
    pictures = np.random.default_rng(0).standard_normal((6, 5, 4, 1))
    part = LabelledDataset.from_labels(pictures, np.arange(6) % 2, 2)

    with ActivationWriter(path, Dataset(part, part, 2), [3], 1, 1), ActivationStore(path) as store:
        np.testing.assert_array_equal(store.part("test").examples, part.examples.reshape(6, 20))


def test_a_store_without_examples_says_so(path):
    with h5py.File(path, "w", libver="latest") as file:
        file["train/labels"] = np.arange(3)

    with (
        ActivationStore(path) as store,
        pytest.raises(RecordError, match=r"does not hold the examples.*run the experiment again"),
    ):
        store.part("train").examples  # noqa: B018


def test_runs_may_come_one_by_one_and_stop_early(path, writer, tiny_dataset):
    by_run = {run: activations(run, 1, tiny_dataset) for run in (2, 0)}
    writer.write_activations(5, [2], by_run[2])
    writer.write_activations(5, [0], by_run[0])
    writer.write_activations(3, [0], by_run[0])

    with ActivationStore(path) as store:
        train = store.part("train")

        assert train.epochs == [3, 5]
        assert train.runs(5).tolist() == [0, 2]
        np.testing.assert_array_equal(train.layer(5, 0)[1], by_run[2]["train"][0][0])


def test_metrics_and_gradients_are_tidy_tables(path, writer):
    nan = np.nan
    writer.write_metrics(0, {"loss": np.array([[1, 2, nan], [3, nan, nan]], np.float32)})
    writer.write_metrics(0, {"loss": np.array([[nan, nan, 5]], np.float32)})
    norms = np.array([[1, 2], [3, 4]])
    writer.write_gradients(
        7, [0, 2], {"weight_norm": norms, "mean_norm": norms / 2, "std_norm": norms / 4}
    )

    with ActivationStore(path) as store:
        metrics, gradients = store.metrics(), store.gradients()

    assert metrics[["run", "epoch", "loss"]].to_numpy().tolist() == [
        [0, 0, 1],
        [0, 1, 3],
        [1, 0, 2],
        [2, 0, 5],
    ]
    assert gradients[["run", "epoch", "layer", "weight_norm"]].to_numpy().tolist() == [
        [0, 7, 0, 1],
        [0, 7, 1, 2],
        [2, 7, 0, 3],
        [2, 7, 1, 4],
    ]


def test_activations_are_float32_and_compressed(path, writer, tiny_dataset):
    writer.write_activations(0, [0, 1, 2], activations(0, 3, tiny_dataset))

    with h5py.File(path, "r", libver="latest", swmr=True) as file:
        dataset = file["train/activations/0"]
        assert (dataset.dtype, dataset.compression) == (np.float32, "gzip")


def test_a_store_is_never_overwritten(path, writer, tiny_dataset):
    with pytest.raises(RecordError, match="cannot create"):
        ActivationWriter(path, tiny_dataset, UNITS, 1, 1)


@pytest.mark.parametrize("content", [None, b"", b"no HDF5 at all"])
def test_what_is_no_store_is_named(path, content):
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(RecordError, match=r"cannot read the activation store .*activations\.h5"):
        ActivationStore(path)


WRITE_UNTIL_KILLED = """
import sys
from pathlib import Path
import numpy as np
from deep_bottleneck.measuring.activation_store import ActivationWriter
from deep_bottleneck.interfaces import Dataset, LabelledDataset

part = LabelledDataset.from_labels(np.zeros((500, 4)), np.zeros(500, int), 2)
with ActivationWriter(Path(sys.argv[1]), Dataset(part, part, 2), [20], 2, 10**6) as writer:
    for epoch in range(10**6):
        values = np.full((2, 500, 20), epoch, np.float32)
        writer.write_activations(epoch, [0, 1], {"train": [values], "test": [-values]})
"""


@pytest.mark.parametrize("attempt", range(3))
def test_a_killed_writer_leaves_every_complete_epoch(tmp_path, attempt):
    path = tmp_path / "activations.h5"
    command = [sys.executable, "-c", WRITE_UNTIL_KILLED, str(path)]
    with subprocess.Popen(command) as process:
        epochs = _wait_for_epochs(path, 5 + 7 * attempt)
        os.kill(process.pid, signal.SIGKILL)

    with ActivationStore(path) as store:
        for part, sign in (("train", 1), ("test", -1)):
            activations = store.part(part)
            assert len(activations.epochs) >= epochs
            for epoch in activations.epochs:
                assert np.all(activations.layer(epoch, 0) == sign * epoch)


def _wait_for_epochs(path, n_epochs):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with ActivationStore(path) as store:
                if len(store.part("train").epochs) >= n_epochs:
                    return n_epochs
        except RecordError:
            pass
        time.sleep(0.01)
    raise TimeoutError(f"{n_epochs} epochs were not written within a minute")


@pytest.fixture
def whole(path, writer, tiny_dataset, tmp_path):
    """A recording that was ended, as bytes, and the store that it is written into."""
    writer.write_activations(0, [0, 1, 2], activations(0, 3, tiny_dataset))
    writer.write_activations(1, [0, 1, 2], activations(1, 3, tiny_dataset))
    return path.read_bytes()


@pytest.mark.parametrize("kept", [0, 0.01, 0.3, 0.6, 0.9, 0.99])
def test_a_recording_that_was_cut_short_is_known_within_a_moment(writer, whole, tmp_path, kept):
    before = tmp_path / "before.h5"
    before.write_bytes(whole[: int(len(whole) * kept)])
    begin = time.monotonic()

    with pytest.raises(RecordError, match=r"the activation store .*before\.h5"):
        writer.copy(before)

    assert time.monotonic() - begin < 5


def test_a_recording_of_which_a_byte_has_changed_is_known_where_a_checksum_tells(whole, tmp_path):
    """Compressed values and what HDF5 itself has written have checksums."""
    before = tmp_path / "before.h5"
    outcomes = []
    for position in range(0, len(whole), len(whole) // 12):
        changed = bytearray(whole)
        changed[position] ^= 1
        before.write_bytes(changed)
        try:
            with ActivationStore(before) as store:
                store.check()
        except RecordError as error:
            outcomes.append(str(error))

    assert len(outcomes) >= 3
    assert all("before.h5" in outcome for outcome in outcomes)


def test_a_recording_of_others_is_not_taken_over(writer, tiny_dataset, tmp_path):
    other = tmp_path / "other.h5"
    with ActivationWriter(other, tiny_dataset, (3, 4), n_runs=3, epochs=10):
        pass

    with pytest.raises(RecordError, match=r"other\.h5 is of another experiment"):
        writer.copy(other)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.h5")

    with pytest.raises(RecordError, match="there is no such file"):
        ActivationStore(tmp_path / "pipe.h5")
