"""What a step of a group does on its device, and what it must not do there."""

import collections

import keras
import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from deep_bottleneck.models import feedforward, feedforward_batchnorm
from deep_bottleneck.training import memory
from deep_bottleneck.training.batches import Batches
from deep_bottleneck.training.ensemble import Ensemble
from deep_bottleneck.training.lockstep import group as lockstep
from deep_bottleneck.training.lockstep.group import LockstepGroup
from deep_bottleneck.training.recorder import Recorder

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="needs the torch backend"
)

META = torch.device("meta")
VARIATIONS = [
    (feedforward.load, {}),
    (feedforward.load, {"optimizer": "sgd"}),
    (feedforward.load, {"max_norm_weights": 0.4}),
    (feedforward_batchnorm.load, {}),
]


class Watch(TorchDispatchMode):
    """Counts operations that wait for a device, and those that work on another device."""

    def __init__(self, device):
        super().__init__()
        self.device = device
        self.waits, self.elsewhere = collections.Counter(), collections.Counter()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        found = operation(*args, **(kwargs or {}))
        name = str(operation)
        if "_local_scalar_dense" in name or "nonzero" in name:
            self.waits[name] += 1
        tensors = [leaf for leaf in tree_leaves(found) if isinstance(leaf, torch.Tensor)]
        if any(tensor.device.type != self.device.type for tensor in tensors):
            self.elsewhere[name] += 1
        return found


@pytest.fixture
def group(make_models, tiny_dataset):
    def group(load=feedforward.load, **changes):
        batches = Batches(len(tiny_dataset.train), 16, None, seed=1)
        return LockstepGroup(make_models(3, load, **changes), [0, 1, 2], tiny_dataset, batches)

    return group


def moved(value, device):
    if type(value) in (list, tuple):
        return type(value)(moved(item, device) for item in value)
    return value.to(device) if isinstance(value, torch.Tensor) else value


@pytest.mark.parametrize(("load", "changes"), VARIATIONS)
def test_all_of_an_epoch_happens_on_the_device(group, monkeypatch, load, changes):
    """On the meta device there are no numbers, so nothing can be read, and nothing is elsewhere."""
    trained = group(load, **changes)
    for holder in (trained, trained._stack):
        for name, value in vars(holder).items():
            setattr(holder, name, moved(value, META))
    trained._device = META
    fetched = []

    def to_host(tensors):
        fetched.append([tuple(tensor.shape) for tensor in tensors])
        return [np.zeros(tensor.shape, np.float32) for tensor in tensors]

    monkeypatch.setattr(lockstep, "to_host", to_host)
    with keras.device("meta"):
        trained.train_epoch(0)
        trained._order(1)
        with Watch(META) as watch:
            trained.train_epoch(1)

    assert not watch.elsewhere
    assert not watch.waits
    assert fetched == [[(3, 4)], [(3, 4)]]


@pytest.mark.parametrize(("load", "changes"), VARIATIONS)
def test_nothing_is_read_before_the_end_of_an_epoch(group, load, changes):
    trained = group(load, **changes)
    trained.train_epoch(0)

    with Watch(torch.device("cpu")) as watch:
        trained.train_epoch(1)

    assert not watch.waits


def test_many_steps_in_a_launch_are_the_steps_one_by_one(group, monkeypatch):
    together, one_by_one, some = group(), group(), group()

    many = [together.train_epoch(epoch) for epoch in range(2)]
    monkeypatch.setattr(lockstep, "STEPS_PER_LAUNCH", 1)
    single = [one_by_one.train_epoch(epoch) for epoch in range(2)]
    monkeypatch.setattr(lockstep, "STEPS_PER_LAUNCH", 3)
    few = [some.train_epoch(epoch) for epoch in range(2)]

    for logs, other, third in zip(many, single, few, strict=True):
        for name, values in logs.items():
            np.testing.assert_array_equal(values, other[name])
            np.testing.assert_array_equal(values, third[name])


class Waiting(Recorder):
    """Notes which runs trained at each epoch."""

    def __init__(self):
        super().__init__()
        self.runs = []

    def on_group_epoch_end(self, epoch, group, logs, stopping):
        self.runs.append((epoch, list(group.runs)))


def test_runs_that_do_not_fit_at_once_train_in_groups(make_models, tiny_dataset):
    whole, grouped = make_models(5), make_models(5)
    batches = Batches(len(tiny_dataset.train), 16, None, seed=1)
    of_run = memory.bytes_per_run(whole[0], tiny_dataset, batches)
    notes = Waiting()

    Ensemble(whole, seed=1).fit(tiny_dataset, 2, 16)
    budget = memory.bytes_of_data(tiny_dataset) + 2 * of_run
    Ensemble(grouped, seed=1, memory=budget).fit(tiny_dataset, 2, 16, recorders=[notes])

    assert notes.runs == [
        (0, [0, 1]),
        (1, [0, 1]),
        (0, [2, 3]),
        (1, [2, 3]),
        (0, [4]),
        (1, [4]),
    ]
    for one, other in zip(whole, grouped, strict=True):
        for ours, theirs in zip(one.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_models_that_have_trained_keep_their_weights_where_they_came_from(
    make_models, tiny_dataset
):
    models = make_models(2)

    Ensemble(models, seed=1, device=torch.device("cpu")).fit(tiny_dataset, 1, 16)

    values = [variable.value for model in models for variable in model.variables]
    assert len({value.untyped_storage().data_ptr() for value in values}) == len(values)
    assert all(value.device.type == "cpu" for value in values)


@pytest.mark.gpu
@pytest.mark.parametrize(("load", "changes"), VARIATIONS)
def test_a_gpu_trains_what_a_cpu_trains(make_models, tiny_dataset, load, changes):
    """To a thousandth after three epochs: sums of float32 in another order, magnified by Adam."""
    with keras.device("cpu"):
        on_cpu, on_gpu, again = (make_models(3, load, **changes) for _ in range(3))

    for models, device in ((on_cpu, "cpu"), (on_gpu, "cuda:0"), (again, "cuda:0")):
        Ensemble(models, seed=1, device=torch.device(device)).fit(tiny_dataset, 3, 16)

    for one, other, third in zip(on_cpu, on_gpu, again, strict=True):
        weights = zip(one.get_weights(), other.get_weights(), third.get_weights(), strict=True)
        for cpu, gpu, gpu_again in weights:
            np.testing.assert_allclose(gpu, cpu, atol=1e-3)
            np.testing.assert_allclose(gpu_again, gpu, atol=1e-6)


@pytest.mark.gpu
def test_an_epoch_on_a_gpu_waits_once(make_models, tiny_dataset):
    with keras.device("cpu"):
        models = make_models(3)
    device = torch.device("cuda:0")
    batches = Batches(len(tiny_dataset.train), 16, None, seed=1)
    with keras.device("cuda:0"):
        group = LockstepGroup(models, [0, 1, 2], tiny_dataset, batches, device)
        group.train_epoch(0)
        # an operation that waits without being asked to is an error here
        torch.cuda.set_sync_debug_mode("error")
        try:
            group.train_epoch(1)
        finally:
            torch.cuda.set_sync_debug_mode("default")
