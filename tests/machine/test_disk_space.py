"""Space is asked for before it is needed, and some is kept."""

import errno
from collections import namedtuple

import numpy as np
import pytest

from deep_bottleneck.errors import DiskFullError
from deep_bottleneck.machine import disk_space
from deep_bottleneck.machine.disk_space import RESERVE_FILE, disk_full_said, keep_reserve
from deep_bottleneck.measuring.activation_store import ActivationStore, ActivationWriter

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def only(monkeypatch):
    """Lets a disk have so many bytes left."""
    return lambda free: monkeypatch.setattr(
        disk_space.shutil, "disk_usage", lambda path: Usage(2**40, 2**40 - free, free)
    )


def test_a_store_ends_readable_before_the_disk_is_full(tmp_path, tiny_dataset, only):
    path = tmp_path / "activations.h5"
    epoch = {
        part: [np.ones((1, len(getattr(tiny_dataset, part)), 3), np.float32)]
        for part in ("train", "test")
    }
    with (
        pytest.raises(OSError, match="No space left on device"),
        ActivationWriter(path, tiny_dataset, [3], 1, 10) as writer,
    ):
        writer.write_activations(0, [0], epoch)
        only(free=2**20)
        writer.write_activations(1, [0], epoch)

    with ActivationStore(path) as store:
        assert store.part("test").epochs == [0]


def test_a_store_that_is_whole_takes_no_more_than_what_is_in_it(tmp_path, tiny_dataset):
    path = tmp_path / "activations.h5"

    with ActivationWriter(path, tiny_dataset, [3], 1, 10):
        assert path.stat().st_blocks * 512 > 2**20

    assert path.stat().st_blocks * 512 < path.stat().st_size + 2**16


def test_the_reserve_is_given_up_when_the_disk_is_full(tmp_path):
    keep_reserve(tmp_path)

    with pytest.raises(DiskFullError) as said, disk_full_said(tmp_path):
        raise OSError(errno.ENOSPC, "", str(tmp_path / "table.csv"))

    assert str(said.value).startswith(f"{tmp_path / 'table.csv'} cannot be written: No space left")
    assert not (tmp_path / RESERVE_FILE).exists()


def test_other_errors_stay_what_they_are(tmp_path):
    keep_reserve(tmp_path)

    with pytest.raises(PermissionError), disk_full_said(tmp_path):
        raise PermissionError(errno.EACCES, "")

    assert (tmp_path / RESERVE_FILE).exists()
