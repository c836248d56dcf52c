import jax
import numpy as np
import pytest
import torch

from deep_bottleneck.training import memory
from deep_bottleneck.training.batches import Batches
from deep_bottleneck.training.lockstep.compiled import CompiledGroup

BATCHES = Batches(50, 16, None, seed=0)


def test_the_estimate_is_the_stated_one(make_models, tiny_dataset):
    (model,) = make_models(1)

    weights = 4 * 5 + 5 + 5 * 3 + 3 + 3 * 2 + 2
    state = 3 * weights + 2  # Adam's two moments, its step and its learning rate
    outputs, example, recorded = 5 + 3 + 2, 4 + 2, 50 + 20
    floats = 3 * state + 3 * weights + 4 * 16 * (outputs + example) + 3 * recorded * outputs
    assert memory.bytes_per_run(model, tiny_dataset, BATCHES) == 4 * floats + 8 * 2 * 50


def test_as_many_runs_train_at_a_time_as_fit(make_models, tiny_dataset):
    models = make_models(7)
    of_run = memory.bytes_per_run(models[0], tiny_dataset, BATCHES)
    of_data = 4 * (50 + 20) * (4 + 2)

    def at_a_time(bytes_to_use):
        return memory.runs_at_a_time(models, tiny_dataset, BATCHES, bytes_to_use)

    assert memory.bytes_of_data(tiny_dataset) == of_data
    assert at_a_time(of_data + 3 * of_run) == 3
    assert at_a_time(of_data + 4 * of_run - 1) == 3
    assert at_a_time(1) == 1
    assert at_a_time(None) == 7


def test_a_cpu_has_no_limit():
    assert memory.budget(torch.device("cpu")) is None


@pytest.mark.gpu
def test_the_estimate_is_no_less_than_what_training_takes(make_models, tiny_dataset):
    device = torch.device("cuda:0")
    runs = np.arange(200)
    models = make_models(len(runs))

    group = CompiledGroup(models, runs, tiny_dataset, BATCHES, device)
    group.train_epoch(0)
    group.outputs(tiny_dataset.train.examples)

    taken = jax.devices("cuda")[0].memory_stats()["peak_bytes_in_use"]
    per_run = memory.bytes_per_run(models[0], tiny_dataset, BATCHES)
    assert taken < memory.bytes_of_data(tiny_dataset) + len(runs) * per_run + 2**26
