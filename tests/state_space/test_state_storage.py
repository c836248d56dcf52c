import copy
import errno
import gc
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

import deep_bottleneck.state_space as ts
from deep_bottleneck.errors import RecordError
from deep_bottleneck.state_space import storage

zarr = pytest.importorskip("zarr")


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(storage, "_BYTES_PER_CHUNK", 100)


class FullDisk:
    """A zarr array on a disk that takes no more, until `space` is True."""

    def __init__(self, array):
        self._array = array
        self.space = False

    @property
    def shape(self):
        return self._array.shape

    def resize(self, shape):
        self._array.resize(shape)

    def __getitem__(self, rows):
        return self._array[rows]

    def __setitem__(self, rows, values):
        if not self.space:
            raise OSError(errno.ENOSPC, "No space left on device")
        self._array[rows] = values


def test_raw_states_are_on_disk_in_the_order_they_came(tmp_path):
    network = nn.Sequential(nn.Linear(4, 20))
    ts.build_efficiency_model(network, "Linear", storage_path=tmp_path)
    (capture,) = network.efficiency_layers
    with torch.no_grad():
        outputs = torch.cat([network(torch.randn(n, 4)) for n in (50, 1, 70)])

    expected = np.packbits(outputs.numpy() > 0, axis=1, bitorder="little")
    np.testing.assert_array_equal(capture.raw_states, expected)
    stored = zarr.open_array(tmp_path / "0_post_states.zarr", mode="r")
    np.testing.assert_array_equal(stored[:], expected)
    assert capture.state_count == stored.shape[0] == 121


END = """
import sys, torch
import deep_bottleneck.state_space as ts
network = torch.nn.Linear(4, 16)
ts.build_efficiency_model(network, "Linear", storage_path=sys.argv[1])
network(torch.ones(100_000, 4))
network(torch.ones(1, 4))
"""


@pytest.mark.parametrize(
    ("end", "status"), [("", 0), ("raise KeyError", 1), ("sys.exit(3)", 3), ("del network", 0)]
)
def test_states_that_nobody_reads_are_on_disk_when_the_process_has_ended(tmp_path, end, status):
    finished = subprocess.run(
        [sys.executable, "-c", END + end, tmp_path], capture_output=True, text=True, check=False
    )

    assert finished.returncode == status, finished.stderr
    (folder,) = tmp_path.iterdir()
    assert zarr.open_array(folder, mode="r").shape == (100_001, 2)


def on_disk(folder):
    return zarr.open_array(folder / "hidden.zarr", mode="r")[:, 0].tolist()


def test_a_flush_writes_what_waits_and_as_it_goes_on_whole_chunks_are_written(tmp_path):
    capture = ts.StateCaptureHook("hidden", disk_path=tmp_path)
    for _ in range(3):
        capture.record(torch.ones(70, 8))
    assert on_disk(tmp_path) == [255] * 100

    capture.flush()
    assert on_disk(tmp_path) == [255] * 210
    ts.StateCaptureHook("without a path").flush()


def test_a_capture_that_is_gone_has_written_its_states(tmp_path):
    capture = ts.StateCaptureHook("hidden", disk_path=tmp_path)
    capture.record(torch.ones(3, 8))
    del capture
    gc.collect()

    assert on_disk(tmp_path) == [255] * 3


def test_a_capture_that_was_reset_leaves_nothing_behind_when_it_is_gone(tmp_path):
    capture = ts.StateCaptureHook("hidden", disk_path=tmp_path)
    capture.record(torch.ones(3, 8))
    capture.reset_states()
    del capture
    gc.collect()

    assert not list(tmp_path.iterdir())


def test_a_folder_that_was_removed_meanwhile_is_not_made_again(tmp_path):
    capture = ts.StateCaptureHook("hidden", disk_path=tmp_path)
    capture.record(torch.ones(3, 8))
    shutil.rmtree(tmp_path / "hidden.zarr")
    del capture
    gc.collect()

    assert not list(tmp_path.iterdir())


def test_a_fork_leaves_the_states_to_its_parent(tmp_path, monkeypatch):
    capture = ts.StateCaptureHook("hidden", disk_path=tmp_path)
    capture.record(torch.ones(3, 8))

    monkeypatch.setattr(os, "getpid", lambda: 0)
    del capture
    gc.collect()

    assert on_disk(tmp_path) == []


def test_a_disk_that_is_full_at_the_end_is_logged(tmp_path, caplog):
    capture = ts.StateCaptureHook("hidden", disk_path=tmp_path)
    capture.record(torch.ones(3, 8))
    capture._store._array = FullDisk(capture._store._array)
    del capture
    gc.collect()

    assert "hidden.zarr: No space left on device; 0 states are on disk" in caplog.text


def test_looking_in_between_changes_nothing(tmp_path):
    capture = ts.StateCaptureHook("hidden", disk_path=tmp_path)
    batches = [torch.randn(n, 30) for n in (5, 17, 40, 3)]
    for batch in batches:
        capture.record(batch)
        seen = capture.raw_states

    expected = np.packbits(torch.cat(batches).numpy() > 0, axis=1, bitorder="little")
    np.testing.assert_array_equal(seen, expected)


def test_a_reset_empties_the_disk_and_allows_another_width(tmp_path):
    capture = ts.StateCaptureHook("hidden", disk_path=tmp_path)
    capture.record(torch.ones(40, 30))
    _ = capture.raw_states

    capture.reset_states()
    capture.record(torch.ones(2, 3))

    assert capture.raw_states.tolist() == [[7], [7]]


def test_a_full_disk_is_named_and_what_was_captured_stays_usable(tmp_path):
    capture = ts.StateCaptureHook("hidden", disk_path=tmp_path)
    capture.record(torch.ones(60, 8))
    capture.record(-torch.ones(60, 8))
    disk = FullDisk(capture._store._array)
    capture._store._array = disk

    for _ in range(2):
        with pytest.raises(RecordError, match=r"hidden\.zarr: No space left on device; 0 states"):
            capture.record(torch.ones(5, 8))
    assert capture.state_count == 120
    assert capture.entropy() == pytest.approx(1.0)

    disk.space = True
    capture.record(torch.ones(5, 8))
    assert capture.raw_states[:, 0].tolist() == [255] * 60 + [0] * 60 + [255] * 5


def test_states_of_an_earlier_capture_are_not_overwritten(tmp_path):
    ts.StateCaptureHook("hidden", disk_path=tmp_path).record(torch.ones(4, 3))

    with pytest.raises(RecordError, match=r"hidden\.zarr already exists: remove it or choose"):
        ts.StateCaptureHook("hidden", disk_path=tmp_path).record(torch.ones(4, 3))


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(RecordError, match=r"cannot create .*hidden\.zarr for states"):
        ts.StateCaptureHook("hidden", disk_path=tmp_path / "file").record(torch.ones(4, 3))


def test_two_copies_do_not_write_to_one_place(tmp_path):
    capture = ts.StateCaptureHook("hidden", disk_path=tmp_path)
    capture.record(torch.ones(4, 3))

    with pytest.raises(RecordError, match="two copies would write to one place"):
        copy.deepcopy(capture)
