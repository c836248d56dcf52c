"""How often an epoch starts a program, compiles one and waits for the device: counts, not times."""

import jax
import pytest

from deep_bottleneck.training.lockstep import compiled

COMPILED = "/jax/core/compile/backend_compile_duration"


@pytest.fixture
def compilations():
    """How many programs XLA has compiled so far, as a list that grows."""
    counted = []

    def count(event, duration, **_):
        if event == COMPILED:
            counted.append(duration)

    jax.monitoring.register_event_duration_secs_listener(count)
    yield counted
    jax.monitoring.unregister_event_duration_listener(count)


@pytest.mark.parametrize("n_runs", [1, 3])
def test_an_epoch_is_one_launch_and_one_transfer(make_models, group, monkeypatch, n_runs):
    trained = group(make_models(n_runs))
    transfers = []
    device_get = jax.device_get
    monkeypatch.setattr(
        compiled.jax, "device_get", lambda values: transfers.append(1) or device_get(values)
    )

    for epoch in range(5):
        trained.train_epoch(epoch)

    assert trained.launches == 5
    assert len(transfers) == 5


def test_an_experiment_compiles_one_program_for_all_epochs(make_models, group, compilations):
    trained = group(make_models(3))
    before = len(compilations)

    for epoch in range(5):
        trained.train_epoch(epoch)

    assert len(compilations) == before + 1


def test_what_is_recorded_is_compiled_once(make_models, group, tiny_dataset, compilations):
    trained = group(make_models(3))
    trained.train_epoch(0)
    before = len(compilations)

    for epoch in range(1, 4):
        trained.train_epoch(epoch)
        trained.outputs(tiny_dataset.train.examples)
        trained.outputs(tiny_dataset.test.examples)
        list(trained.gradients(epoch))
        trained.kernels()

    # outputs of the train and of the test set, gradients of a whole and of the last batch
    assert len(compilations) == before + 4


def test_nothing_goes_to_the_models_that_nobody_looks_at(make_models, group):
    models = make_models(3)
    trained = group(models)
    values = [variable.value for model in models for variable in model.variables]

    trained.train_epoch(0)
    trained.train_epoch(1)

    now = [variable.value for model in models for variable in model.variables]
    assert all(value is before for value, before in zip(now, values, strict=True))
