"""On a CPU the next epoch begins while others look at the one before: nobody can tell."""

import numpy as np
import pytest


def asked_for(trained, epochs, more=True, between=lambda trained, epoch: None):
    """The metrics of epochs that are asked for one after the other, and what is done between."""
    logs = []
    for epoch in range(epochs):
        logs.append(trained.train_epoch(epoch, more=more and epoch + 1 < epochs))
        between(trained, epoch)
    trained.release()
    return logs


@pytest.fixture
def assert_same(make_models, group, values):
    """Asserts that a group that looks ahead gives what one gives that waits to be asked.

    Metrics and models are the same to the last bit, whatever is done between the epochs.
    """

    def assert_same(**between):
        ahead, waiting = make_models(3), make_models(3)
        looks_ahead = group(ahead)

        logs = asked_for(looks_ahead, 5, **between)

        for of_epoch, expected in zip(
            logs, asked_for(group(waiting), 5, more=False, **between), strict=True
        ):
            assert set(of_epoch) == set(expected)
            for name, of_runs in of_epoch.items():
                np.testing.assert_array_equal(of_runs, expected[name])
        for model, expected in zip(ahead, waiting, strict=True):
            np.testing.assert_array_equal(values(model), values(expected))
        return looks_ahead

    return assert_same


def test_epochs_are_those_of_a_group_that_waits_to_be_asked(assert_same):
    assert_same()


def test_no_epoch_is_trained_that_is_not_asked_for(make_models, group):
    trained = group(make_models(3))

    asked_for(trained, 5)

    assert trained.launches == 5


def test_who_looks_meanwhile_sees_the_epoch_that_was_asked_for(
    make_models, group, values, tiny_dataset
):
    ahead, waiting = make_models(2), make_models(2)
    looks_ahead, waits = group(ahead), group(waiting)
    for epoch in range(3):
        looks_ahead.train_epoch(epoch, more=True)
        waits.train_epoch(epoch)

        for one, other in zip(looks_ahead.models, waits.models, strict=True):
            np.testing.assert_array_equal(values(one), values(other))
        for one, other in zip(
            looks_ahead.activations(tiny_dataset.test.examples),
            waits.activations(tiny_dataset.test.examples),
            strict=True,
        ):
            np.testing.assert_array_equal(one, other)
        for one, other in zip(looks_ahead.kernels(), waits.kernels(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_what_was_begun_before_a_model_was_changed_is_forgotten(assert_same):
    def change(trained, epoch):
        if epoch == 1:
            trained.models[1].layers[0].kernel.assign(np.full((4, 5), 0.25))

    looks_ahead = assert_same(between=change)

    # the third epoch was begun in vain, and from there on none before it was asked for
    assert looks_ahead.launches == 6


@pytest.mark.parametrize("stopping", [[False, True, False], [True, True, False]])
def test_runs_that_stop_stop_where_they_were_asked_to(assert_same, stopping):
    def stop(trained, epoch):
        if epoch == 2:
            trained.stop(np.array(stopping))

    assert_same(between=stop)
