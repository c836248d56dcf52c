"""An experiment goes on from the last checkpoint that can be read, and from no other."""

import json
import time

import pytest

from deep_bottleneck.training.checkpoint import Checkpoint, write
from deep_bottleneck.training.continuation import Checkpoints
from deep_bottleneck.training.preemption import Preemption


def test_a_checkpoint_that_cannot_be_read_starts_anew(tmp_path, caplog):
    (tmp_path / "before").mkdir()
    (tmp_path / "before" / "checkpoint.h5").write_bytes(b"\x80")

    checkpoints = Checkpoints(tmp_path, Preemption(), tmp_path / "before")

    assert checkpoints.last is None
    assert "training starts anew" in caplog.text


def test_one_of_an_earlier_version_is_not_read_but_said(tmp_path, caplog):
    (tmp_path / "before").mkdir()
    (tmp_path / "before" / "checkpoint.pickle").write_bytes(b"cos\nmkdir\n(S'opened'\ntR.")

    checkpoints = Checkpoints(tmp_path, Preemption(), tmp_path / "before")

    assert checkpoints.last is None
    assert caplog.messages == [
        f"{tmp_path}/before/checkpoint.pickle was written by an earlier version of "
        "deep-bottleneck: training starts anew"
    ]


@pytest.fixture
def chain(tmp_path):
    """Three experiments, each of which goes on from the one before."""
    folders = [tmp_path / name for name in ("1", "2", "3")]
    for epoch, folder in enumerate(folders):
        folder.mkdir()
        write(Checkpoint(epoch, (0,), (0,)), folder / "checkpoint.h5")
        (folder / "activations.h5").touch()
        (folder / "config.json").write_text('{"seed": 1}')
        (folder / "info.json").write_text(f'{{"continues": "{epoch}"}}')
    return folders


def test_where_the_last_is_damaged_training_goes_on_from_the_one_before(chain, caplog):
    first, second, third = chain
    (second / "checkpoint.h5").write_bytes((second / "checkpoint.h5").read_bytes()[:-1])

    checkpoints = Checkpoints(third, Preemption(), second)

    assert checkpoints.last is not None
    assert checkpoints.last.epoch == 0
    assert caplog.messages == [
        f"{second}/checkpoint.h5 is damaged: its checksum is not that of its content: "
        f"training goes on from {first}"
    ]


@pytest.mark.parametrize("config", ['{"seed": 2}', "{"])
def test_one_of_another_config_starts_anew_and_leaves_the_other_alone(chain, caplog, config):
    first, second, _ = chain
    (second / "config.json").write_text(config)

    checkpoints = Checkpoints(second, Preemption(), first)

    assert checkpoints.last is None
    assert "holds no checkpoint of this config: training starts anew" in caplog.text
    checkpoints.forget()
    assert (first / "checkpoint.h5").exists()


@pytest.mark.parametrize("name", ["../1", "/", "..", ".", "", "\0", "2", "9", 5, None, ["1"]])
def test_nothing_but_a_record_beside_it_is_a_predecessor(chain, name):
    _, second, third = chain
    (second / "info.json").write_text(json.dumps({"continues": name}))

    assert list(Checkpoints(third, Preemption(), second).predecessors()) == [second]


def test_a_complete_experiment_leaves_no_checkpoint_of_its_predecessors(tmp_path):
    folders = [tmp_path / name for name in ("1", "2", "3")]
    for folder in folders:
        folder.mkdir()
        (folder / "checkpoint.h5").touch()
    (folders[0] / "checkpoint.pickle").touch()
    (folders[1] / "info.json").write_text('{"continues": "1"}')
    checkpoints = Checkpoints(folders[2], Preemption(), folders[1])

    checkpoints.forget()

    assert list(checkpoints.predecessors()) == [folders[1], folders[0]]
    assert not list(tmp_path.rglob("checkpoint*"))


def test_a_checkpoint_is_due_now_and_then_and_at_the_end(tmp_path):
    preemption = Preemption()
    checkpoints = Checkpoints(tmp_path, preemption, seconds_between=0.2)

    assert not checkpoints.due(at_end=False)
    assert checkpoints.due(at_end=True)
    time.sleep(0.25)
    assert checkpoints.due(at_end=False)
    checkpoints.store(Checkpoint(1, (0,), (0,)))
    assert not checkpoints.due(at_end=False)
    preemption.requested = True
    assert checkpoints.due(at_end=False)
