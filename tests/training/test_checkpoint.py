"""A checkpoint is read as it was written, or not at all."""

import hashlib
import io
import json
import pickle
import random

import h5py
import numpy as np
import pytest
import torch

from deep_bottleneck.errors import RecordError
from deep_bottleneck.training.checkpoint import Checkpoint, read, write


@pytest.fixture
def checkpoint():
    generator = np.random.default_rng(0)
    weights = [generator.normal(size=shape).astype(np.float32) for shape in ((3, 5), (5,), ())]
    return Checkpoint(
        3,
        (0, 2),
        (2,),
        (1,),
        models=(weights, [], []),
        callbacks=((), (), ({"best": 0.25, "wait": 2},)),
        recorders=({"seen": ("a", 1)}, {}),
        made_by=("Notes", "EarlyStopping"),
        logged=(("test.loss", 0.7, 0), ("test.loss", np.float32(0.6), 1)),
    )


@pytest.fixture
def path(tmp_path, checkpoint):
    path = tmp_path / "checkpoint.h5"
    write(checkpoint, path)
    return path


def test_it_comes_back_as_it_was(checkpoint, path, tmp_path):
    back = read(path)
    write(back, tmp_path / "again.h5")

    for ours, theirs in zip(checkpoint.models[0], back.models[0], strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    for name in ("epoch", "rows", "training", "waiting", "callbacks", "recorders", "made_by"):
        assert getattr(back, name) == getattr(checkpoint, name)
    assert back.logged == checkpoint.logged
    assert (tmp_path / "again.h5").read_bytes() == path.read_bytes()


def test_generators_go_on_where_they_were(tmp_path):
    def drawn():
        return random.random(), np.random.rand(), torch.rand(()).item()  # noqa: NPY002, S311

    write(Checkpoint(0, (), ()), tmp_path / "checkpoint.h5")
    expected = drawn()
    drawn()
    read(tmp_path / "checkpoint.h5").restore_models([])

    assert drawn() == expected


def test_every_flipped_bit_is_noticed(path):
    whole = path.read_bytes()
    generator = np.random.default_rng(0)
    places = [*range(600), *generator.integers(600, len(whole), 400)]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << generator.integers(8)
        path.write_bytes(damaged)
        with pytest.raises(RecordError, match=r"checkpoint\.h5 (is|was)"):
            read(path)


@pytest.mark.parametrize("length", [0, 40, 512, 513, 4000, -1])
def test_a_part_of_one_is_none(path, length):
    path.write_bytes(path.read_bytes()[:length])

    with pytest.raises(RecordError, match=r"is damaged|no checkpoint"):
        read(path)


def test_nothing_is_unpickled(path):
    path.write_bytes(pickle.dumps({"epoch": 1}))

    with pytest.raises(RecordError, match="is no checkpoint"):
        read(path)


def test_what_is_not_there_cannot_be_read(tmp_path):
    with pytest.raises(RecordError, match=r"cannot be read \(No such file"):
        read(tmp_path / "checkpoint.h5")


def test_one_of_another_version_is_said_to_be(path):
    path.write_bytes(path.read_bytes().replace(b"checkpoint 1,", b"checkpoint 2,", 1))

    with pytest.raises(RecordError, match="was written by another version"):
        read(path)


@pytest.fixture
def forge(path):
    """Writes what nobody wrote here, with the checksum that it should have."""

    def forge(change):
        content = io.BytesIO(path.read_bytes())
        with h5py.File(content, "r+") as file:
            state = json.loads(file["state"][()])
            change(file, state)
            del file["state"]
            file["state"] = np.bytes_(json.dumps(state))
        digest = hashlib.sha256(content.getvalue()[512:]).hexdigest()
        line = f"deep-bottleneck checkpoint 1, SHA-256 {digest}"
        path.write_bytes(f"{line:511}\n".encode() + content.getvalue()[512:])

    return forge


def test_what_is_forged_as_it_should_be_is_read(path, forge, checkpoint):
    forge(lambda file, state: state.update(epoch=5))

    assert read(path).epoch == 5


@pytest.mark.parametrize(
    "change",
    [
        lambda file, state: state.pop("epoch"),
        lambda file, state: state.update(more=1),
        lambda file, state: state.update(epoch=-1),
        lambda file, state: state.update(epoch="1"),
        lambda file, state: state.update(rows=[1]),
        lambda file, state: state.update(models={"tuple": [[{"function": "os.system"}]]}),
        lambda file, state: state.update(models={"tuple": [["text"]]}),
        lambda file, state: state.update(recorders={"tuple": [[]]}),
        lambda file, state: state.update(random={"tuple": [1, 2, 3]}),
        lambda file, state: file.pop("<f4"),
        lambda file, state: file.create_group("group"),
        lambda file, state: file.update(elsewhere=h5py.ExternalLink("/etc/passwd", "/")),
        lambda file, state: file.create_dataset(
            "large", (2**50,), np.uint8, chunks=(2**20,), compression="gzip"
        ),
    ],
)
def test_what_is_forged_otherwise_is_no_checkpoint(path, forge, change):
    forge(change)

    with pytest.raises(RecordError, match="no checkpoint of deep-bottleneck"):
        read(path)


def test_a_kill_leaves_the_one_before(path, checkpoint, monkeypatch):
    before = path.read_bytes()

    def killed(self, content):
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.write_bytes", killed)
    with pytest.raises(KeyboardInterrupt):
        write(checkpoint, path)

    assert path.read_bytes() == before
