"""Models of Keras behind the second door."""

import keras
import numpy as np
import pytest
import torch

from deep_bottleneck import watch
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import Dataset
from deep_bottleneck.measuring.information_recorder import InformationRecorder, inputs_of
from deep_bottleneck.measuring.information_tables import InformationTables
from deep_bottleneck.training.batches import Batches
from deep_bottleneck.training.ensemble import Ensemble
from deep_bottleneck.training.lockstep import obstacles
from deep_bottleneck.training.sequential import SequentialGroup
from deep_bottleneck.watching.estimators import watching_estimators
from deep_bottleneck.watching.notes import Notes


def fit(model, dataset, callback):
    train = dataset.train
    model.fit(
        train.examples,
        train.one_hot_labels,
        epochs=3,
        callbacks=[callback],
        verbose=0,
        shuffle=False,
    )


COLUMNS = ["run", "epoch", "layer", "MI_XM", "MI_YM", "ceiling"]


def of_an_experiment(model, dataset):
    """What an experiment measures with, and its tables."""
    names = [output.name for output in SequentialGroup(model, 0).layer_outputs]
    plug_ins = watching_estimators([["mi_estimator.binning", 0.3]], {"n_classes": 2}, True)
    tables = InformationTables(
        "train", plug_ins, {"n_classes": 2}, inputs_of(dataset, "train", names), Notes(),
        device=torch.device("cpu"),
    )  # fmt: skip
    recorder = InformationRecorder([tables], dataset, lambda epoch: True, 3, may_stop_early=False)
    return recorder, tables


def test_values_are_those_of_the_experiment_to_the_last_bit(make_models, tiny_dataset):
    (model,), (other,) = make_models(1), make_models(1)
    dataset = Dataset(tiny_dataset.train, tiny_dataset.train, 2)
    watched = watch(
        model, data=(dataset.train.examples, dataset.train.labels), estimators="binning=0.3"
    )
    recorder, tables = of_an_experiment(other, dataset)

    fit(model, dataset, watched.keras())
    fit(other, dataset, recorder)

    (expected,) = tables.tables().values()
    np.testing.assert_array_equal(watched.table[COLUMNS], expected[COLUMNS])
    assert watched.table["epoch"].unique().tolist() == [0, 1, 2]


@pytest.mark.parametrize("engine", ["model.fit", "lock-step"])
def test_an_experiment_trains_and_measures_what_the_same_batches_do_in_a_watched_fit(
    make_models, tiny_dataset, monkeypatch, engine
):
    if engine == "model.fit":
        monkeypatch.setattr(obstacles, "obstacle", lambda models: "the test wants it")
    (model,), (other,) = make_models(1), make_models(1)
    train = tiny_dataset.train
    watched = watch(model, data=(train.examples, train.labels), estimators="binning=0.3")
    recorder, tables = of_an_experiment(other, tiny_dataset)
    batches = Batches(len(train), 16, None, seed=1)

    def stream():
        for epoch in range(3):
            order = batches.order(0, epoch)
            for batch in batches.slices:
                yield train.examples[order[batch]], train.one_hot_labels[order[batch]]

    model.fit(
        stream(), epochs=3, steps_per_epoch=len(batches.slices), callbacks=[watched.keras()],
        verbose=0, shuffle=False,
    )  # fmt: skip
    Ensemble([other], seed=1).fit(tiny_dataset, 3, 16, recorders=[recorder])

    (expected,) = tables.tables().values()
    if engine == "model.fit":
        np.testing.assert_array_equal(watched.table[COLUMNS], expected[COLUMNS])
    else:  # XLA adds in another order, so that single values may change their bin
        np.testing.assert_allclose(watched.table[COLUMNS], expected[COLUMNS], atol=0.05)
    for ours, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=0 if engine == "model.fit" else 1e-5)


def test_weights_are_the_same_with_and_without(make_models, tiny_dataset):
    (model,), (alone,) = make_models(1), make_models(1)
    data = tiny_dataset.train.examples, tiny_dataset.train.labels

    fit(model, tiny_dataset, watch(model, data=data, measures=["efficiency"]).keras())
    fit(alone, tiny_dataset, keras.callbacks.TerminateOnNaN())

    for ours, theirs in zip(model.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_measures_of_the_experiment_are_had_of_the_compiled_loss(make_models, tiny_dataset):
    (model,) = make_models(1)
    train = tiny_dataset.train
    watched = watch(
        model, data=(train.examples, train.labels), batch_size=10,
        measures=["gradient_noise", "effective_information", "weight_graph_information"],
    )  # fmt: skip

    watched.step()

    batches = Batches(50, 10, None, seed=0)
    of_batches = list(SequentialGroup(model, 0, tiny_dataset, batches).gradients(0))
    mean = [np.mean(of_layer, axis=0) for of_layer in zip(*of_batches, strict=True)]
    table = watched.tables["gradient_noise"].set_index(["layer", "measure"])["value"]
    for layer, of_layer in enumerate(zip(*of_batches, strict=True)):
        noise = 10 * np.sum([np.square(one - mean[layer]).sum() for one in of_layer]) / 4
        assert table[layer, "noise"] == pytest.approx(noise, rel=1e-4)
    assert watched.tables["weight_graph_information"]["value"].notna().all()
    uncompiled = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    for one, data in ((model, train.examples), (uncompiled, (train.examples, train.labels))):
        with pytest.raises(ConfigError, match=r"^gradients (of a Keras model )?need "):
            watch(one, data=data, batch_size=10, measures=["gradient_noise"]).step()


def test_layers_are_chosen_by_name(make_models, tiny_dataset):
    (model,) = make_models(1)
    names = watch(model, data=tiny_dataset.train.examples).layers["name"].tolist()

    chosen = watch(model, data=tiny_dataset.train.examples, layers=names[1:])
    chosen.step()

    assert chosen.table["name"].tolist() == names[1:]
    with pytest.raises(ConfigError, match="activations=True is for networks of PyTorch"):
        watch(model, data=tiny_dataset.train.examples, activations=True)
