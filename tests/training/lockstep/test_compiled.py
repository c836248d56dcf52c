"""Runs that train as one program: the same as `model.fit`, whatever is beside them."""

import keras
import numpy as np
import pytest
import torch

from deep_bottleneck.models import feedforward, feedforward_batchnorm
from deep_bottleneck.training.gradients import kernel_gradients
from deep_bottleneck.training.layers import feature_extractor, watched_layers

# what the order of additions makes of float32
ROUNDING = 1e-5


@pytest.mark.parametrize(
    ("load", "changes"),
    [
        (feedforward.load, {}),
        (feedforward.load, {"optimizer": "sgd"}),
        (feedforward.load, {"architecture": []}),
        (feedforward.load, {"max_norm_weights": 0.4}),
        (feedforward.load, {"quantize_bits": 3}),
        (feedforward_batchnorm.load, {}),
    ],
)
def test_a_group_trains_what_model_fit_trains(make_models, group, model_fit, values, load, changes):
    together, alone = make_models(3, load, **changes), make_models(3, load, **changes)

    trained = group(together)
    logs = [trained.train_epoch(epoch) for epoch in range(4)]
    trained.release()

    for run, model in enumerate(alone):
        history = model_fit(model, run, 4)
        np.testing.assert_allclose(values(together[run]), values(model), atol=ROUNDING)
        assert set(history) == set(logs[0])
        for name, of_epochs in history.items():
            ours = [of_epoch[name][run] for of_epoch in logs]
            np.testing.assert_allclose(ours, of_epochs, atol=ROUNDING)


@pytest.mark.slow
def test_a_run_is_the_same_whatever_runs_beside_it(make_models, group, values):
    """To the last bit beside as many others, to rounding beside more or fewer."""
    models, others = make_models(5), make_models(9)[5:]
    beside = [*others[:2], make_models(3)[2], *others[2:]]
    alone = make_models(3)[2:]

    trained = {
        "among 5": group(models),
        "among others": group(beside, [10, 11, 2, 13, 14]),
        "alone": group(alone, [2]),
    }
    for one in trained.values():
        for epoch in range(4):
            one.train_epoch(epoch)
        one.release()

    np.testing.assert_array_equal(values(models[2]), values(beside[2]))
    np.testing.assert_allclose(values(models[2]), values(alone[0]), atol=ROUNDING)


def test_a_diverged_run_disturbs_no_other(make_models, group, values):
    well, beside = make_models(3), make_models(3)
    beside[1].set_weights([np.full_like(weight, np.nan) for weight in beside[1].get_weights()])

    for models in (well, beside):
        trained = group(models)
        trained.train_epoch(0)
        trained.release()

    np.testing.assert_array_equal(values(well[0]), values(beside[0]))
    np.testing.assert_array_equal(values(well[2]), values(beside[2]))
    assert np.isnan(values(beside[1])).any()


def test_a_stopped_run_is_frozen_and_the_others_go_on(make_models, group, values):
    some_stop, none_stops = make_models(5), make_models(5)
    stopped = group(some_stop)
    whole = group(none_stops)

    stopped.train_epoch(0)
    stopped.stop(np.array([False, True, False, False, True]))
    frozen = values(some_stop[1])
    logs = stopped.train_epoch(1)
    for epoch in range(2):
        of_all = whole.train_epoch(epoch)

    assert stopped.runs == [0, 2, 3]
    assert stopped.rows == [0, 1, 2, 3, 4]
    for name, of_runs in logs.items():
        np.testing.assert_array_equal(of_runs, of_all[name][[0, 2, 3]])
    stopped.release()
    whole.release()
    np.testing.assert_array_equal(values(some_stop[1]), frozen)
    for run in (0, 2, 3):
        np.testing.assert_array_equal(values(some_stop[run]), values(none_stops[run]))


@pytest.mark.slow
def test_where_half_of_the_runs_have_stopped_the_others_are_stacked_anew(
    make_models, group, values
):
    models, alone = make_models(4), make_models(4)[3:]
    trained = group(models)

    trained.train_epoch(0)
    trained.stop(np.array([True, True, True, False]))
    assert trained.rows == trained.runs == [3]
    trained.train_epoch(1)
    trained.release()
    by_itself = group(alone, [3])
    for epoch in range(2):
        by_itself.train_epoch(epoch)
    by_itself.release()

    np.testing.assert_allclose(values(models[3]), values(alone[0]), atol=ROUNDING)


@pytest.mark.slow
def test_training_goes_on_to_the_last_bit_from_the_values_of_the_models(make_models, group, values):
    whole, parted = make_models(3, dropout), make_models(3, dropout)
    uninterrupted = group(whole)
    for epoch in range(4):
        uninterrupted.train_epoch(epoch)
    uninterrupted.release()

    for epochs in (range(2), range(2, 4)):
        part = group(parted)
        for epoch in epochs:
            part.train_epoch(epoch)
        part.release()

    for ours, theirs in zip(parted, whole, strict=True):
        np.testing.assert_array_equal(values(ours), values(theirs))


def dropout(**arguments):
    return feedforward.load(**arguments, after_hidden=lambda: keras.layers.Dropout(0.3))


@pytest.mark.slow
def test_dropout_is_that_of_model_fit(make_models, group, model_fit, values):
    """Each run draws from its own generators, whose state is stacked as weights are."""
    together, alone = make_models(3, dropout), make_models(3, dropout)

    trained = group(together)
    for epoch in range(3):
        trained.train_epoch(epoch)
    trained.release()

    for run, model in enumerate(alone):
        model_fit(model, run, 3)
        np.testing.assert_allclose(values(together[run]), values(model), atol=ROUNDING)


@pytest.mark.slow
def test_each_run_has_its_own_learning_rate(make_models, group, model_fit, values):
    together, alone = make_models(2), make_models(2)
    for models in (together, alone):
        models[1].optimizer.learning_rate = 0.1

    trained = group(together)
    for epoch in range(2):
        trained.train_epoch(epoch)
    trained.release()

    for run, model in enumerate(alone):
        model_fit(model, run, 2)
        np.testing.assert_allclose(values(together[run]), values(model), atol=ROUNDING)


def test_what_is_changed_in_a_model_between_epochs_is_taken_over(make_models, group, values):
    """As a callback does that reads `self.model`, which Keras lets ask for the values first."""
    models, untouched = make_models(3), make_models(3)
    trained, other = group(models), group(untouched)
    for one in (trained, other):
        one.train_epoch(0)

    models[1].jax_state_sync()
    models[1].optimizer.learning_rate.assign(0.0)
    before = models[1].get_weights()
    for one in (trained, other):
        one.train_epoch(1)
        one.release()

    for weight, stayed in zip(models[1].get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, stayed)
    np.testing.assert_array_equal(values(models[0]), values(untouched[0]))
    np.testing.assert_array_equal(values(models[2]), values(untouched[2]))


def test_the_models_of_a_group_have_their_current_weights(make_models, group):
    trained = group(make_models(3))
    trained.train_epoch(0)

    kernels = trained.kernels()

    for row, model in enumerate(trained.models):
        for layer, ours in zip(watched_layers(model), kernels, strict=True):
            np.testing.assert_array_equal(np.ravel(layer.kernel), ours[row])


def test_outputs_are_those_of_each_layer_in_the_memory_that_jax_wrote(
    make_models, group, tiny_dataset
):
    trained = group(make_models(3))
    trained.train_epoch(0)

    outputs = trained.outputs(tiny_dataset.test.examples)

    assert all(isinstance(output, torch.Tensor) for output in outputs)
    assert [tuple(output.shape) for output in outputs] == [(3, 20, 5), (3, 20, 3), (3, 20, 2)]
    model = trained.models[1]
    expected = feature_extractor(model).predict(tiny_dataset.test.examples, verbose=0)
    for ours, theirs in zip(outputs, expected, strict=False):
        np.testing.assert_allclose(ours[1], theirs, atol=ROUNDING)
    kept = [output.clone() for output in outputs]
    trained.train_epoch(1)
    for output, as_it_was in zip(outputs, kept, strict=True):
        torch.testing.assert_close(output, as_it_was, rtol=0, atol=0)


def test_outputs_and_gradients_are_those_of_runs_that_train(make_models, group):
    trained = group(make_models(3))
    trained.train_epoch(0)
    examples = np.eye(4, dtype=np.float32)
    before = trained.activations(examples), list(trained.gradients(1)), trained.kernels()

    trained.stop(np.array([False, True, False]))

    after = trained.activations(examples), list(trained.gradients(1)), trained.kernels()
    for ours, all_ in zip(after[0] + after[2], before[0] + before[2], strict=True):
        np.testing.assert_array_equal(ours, all_[[0, 2]])
    assert len(after[1]) == 4
    for batch, whole in zip(after[1], before[1], strict=True):
        for ours, all_ in zip(batch, whole, strict=True):
            np.testing.assert_array_equal(ours, all_[[0, 2]])


@pytest.mark.slow
@pytest.mark.parametrize("load", [feedforward.load, feedforward_batchnorm.load])
def test_gradients_are_those_of_the_loss(make_models, group, tiny_dataset, batches, load):
    trained = group(make_models(2, load))
    trained.train_epoch(0)

    (first, *_) = trained.gradients(3)

    train = tiny_dataset.train
    for row, model in enumerate(trained.models):
        chosen = batches.order(row, 3)[batches.slices[0]]
        kernels = [layer.kernel for layer in watched_layers(model)]
        batch = train.examples[chosen], train.one_hot_labels[chosen]
        for ours, theirs in zip(first, kernel_gradients(model, kernels, *batch), strict=True):
            np.testing.assert_allclose(ours[row], theirs, atol=ROUNDING)


@pytest.mark.slow
def test_an_epoch_may_be_longer_or_shorter_than_a_pass(make_models, tiny_dataset, values):
    from deep_bottleneck.training.batches import Batches
    from deep_bottleneck.training.lockstep.compiled import CompiledGroup

    for steps in (2, 7):
        batches = Batches(len(tiny_dataset.train), 16, steps, seed=1)
        models = make_models(2)
        trained = CompiledGroup(models, [0, 1], tiny_dataset, batches)
        trained.train_epoch(0)
        trained.release()

        assert trained.n_batches == steps
        assert [int(model.optimizer.iterations) for model in models] == [steps, steps]
