import keras
import numpy as np
import pandas as pd
import pytest
from notes import Notes, diverge

from deep_bottleneck.callbacks import efficiency
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import Dataset, LabelledDataset
from deep_bottleneck.training.ensemble import Ensemble
from deep_bottleneck.training.layers import feature_extractor
from deep_bottleneck.training.lockstep import obstacles


def train(models, dataset, epochs=3, schedule=lambda epoch: True, callbacks=(), **options):
    notes = Notes()
    recorder = efficiency.load(notes, notes, dataset, schedule, **options)
    Ensemble(models, seed=1).fit(dataset, epochs, 16, callbacks=callbacks, recorders=[recorder])
    return notes


def images(n_examples=12, size=5):
    generator = np.random.default_rng(0)

    def part():
        examples = generator.standard_normal((n_examples, size, size, 1))
        return LabelledDataset.from_labels(examples, np.arange(n_examples) % 2, n_classes=2)

    return Dataset(part(), part(), n_classes=2)


def convolutional(seed, metrics=("accuracy",)):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((5, 5, 1)),
            keras.layers.Conv2D(6, 3, activation="elu", name="conv"),
            keras.layers.Flatten(),
            keras.layers.Dense(4, activation="tanh", name="hidden"),
            keras.layers.Dense(2, activation="softmax", name="pred"),
        ]
    )
    model.compile("adam", "categorical_crossentropy", metrics=list(metrics))
    return model


def entropy_by_unique(firing):
    """Bits, of boolean rows."""
    _, counts = np.unique(firing, axis=0, return_counts=True)
    share = counts / counts.sum()
    return -(share * np.log2(share)).sum()


@pytest.mark.parametrize("together", [True, False])
def test_a_row_for_each_run_epoch_and_hidden_layer(
    make_models, tiny_dataset, monkeypatch, together
):
    if not together:
        monkeypatch.setattr(obstacles, "obstacle", lambda models: "the test wants it")

    table = train(make_models(2), tiny_dataset).tables["efficiency"]

    assert tuple(table.columns) == efficiency.COLUMNS
    assert table[["run", "epoch", "layer"]].to_numpy().tolist() == [
        [run, epoch, layer] for run in range(2) for epoch in range(3) for layer in range(2)
    ]
    assert table["efficiency"].between(0, 1).all()


@pytest.mark.parametrize("examples_per_batch", [5, 200])
def test_a_convolution_has_one_state_for_each_position(monkeypatch, examples_per_batch):
    monkeypatch.setattr(efficiency, "EXAMPLES_PER_BATCH", examples_per_batch)
    dataset, models = images(), [convolutional(seed) for seed in range(2)]

    table = train(models, dataset).tables["efficiency"]

    last = table[table["epoch"] == 2]
    for run, model in enumerate(models):
        conv, hidden, *_ = feature_extractor(model).predict(dataset.test.examples, verbose=0)
        expected = [
            entropy_by_unique(conv.reshape(-1, 6) > 0) / 6,
            entropy_by_unique(hidden > 0) / 4,
        ]
        of_run = last[last["run"] == run]
        assert of_run["name"].tolist() == ["conv", "hidden"]
        np.testing.assert_allclose(of_run["efficiency"], expected, rtol=1e-6)
        np.testing.assert_allclose(of_run["network_efficiency"], np.sqrt(np.prod(expected)))


def test_channels_first_are_neurons_too():
    """By a stand-in for the group: Keras on a CPU has no convolution with channels first."""
    activations = np.random.default_rng(0).standard_normal((1, 30, 2, 3, 3)).astype(np.float32)

    class Group:
        runs = (0,)
        layer_outputs = (
            efficiency.LayerOutput("conv", (2, 3, 3), 0),
            efficiency.LayerOutput("pred", (2,), -1),
        )

        def outputs(self, examples):
            return [activations[:, : len(examples)].reshape(1, len(examples), -1)]

    notes = Notes()
    recorder = efficiency.load(notes, notes, images(30), lambda epoch: True)
    recorder.on_group_epoch_end(0, Group(), {"val_accuracy": np.array([0.5])}, np.array([True]))
    recorder.on_train_end()

    firing = np.moveaxis(activations[0], 1, -1).reshape(-1, 2) > 0
    (row,) = notes.tables["efficiency"].itertuples()
    assert row.efficiency == pytest.approx(entropy_by_unique(firing) / 2)


def test_aiq_weighs_accuracy_on_the_test_examples_by_beta(make_models, tiny_dataset):
    table = train(make_models(2), tiny_dataset, beta=3).tables["efficiency"]

    expected = (table["accuracy"] ** 3 * table["network_efficiency"]) ** (1 / 4)
    np.testing.assert_allclose(table["aIQ"], expected)


def test_means_over_runs_are_metrics(make_models, tiny_dataset):
    notes = train(make_models(3), tiny_dataset)

    table = notes.tables["efficiency"]
    assert set(notes.metrics) == {
        "efficiency.layer_0",
        "efficiency.layer_1",
        "efficiency.network",
        "efficiency.aIQ",
    }
    of_layer = table[table["layer"] == 1].groupby("epoch")["efficiency"].mean()
    pd.testing.assert_series_equal(
        pd.Series(notes.metrics["efficiency.layer_1"]), of_layer, check_names=False
    )
    assert notes.metrics["efficiency.aIQ"].keys() == {0, 1, 2}


def test_only_scheduled_epochs_and_the_last_of_each_run_are_recorded(make_models, tiny_dataset):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    notes = train(
        make_models(2), tiny_dataset, 5, lambda epoch: epoch == 0, callbacks=[[Stop()], []]
    )

    recorded = notes.tables["efficiency"][["run", "epoch"]].drop_duplicates()
    assert recorded.to_numpy().tolist() == [[0, 0], [0, 1], [1, 0], [1, 4]]


@pytest.mark.slow
def test_few_examples_for_many_neurons_are_told(make_models, tiny_dataset):
    table = train(make_models(1, architecture=[40, 2]), tiny_dataset).tables["efficiency"]

    assert table.groupby("layer")["undersampled"].all().tolist() == [True, False]


def test_a_model_without_accuracy_has_no_aiq(monkeypatch):
    monkeypatch.setattr(obstacles, "obstacle", lambda models: "only model.fit leaves out accuracy")

    table = train([convolutional(0, metrics=())], images()).tables["efficiency"]

    assert table["efficiency"].notna().all()
    assert table["accuracy"].isna().all()
    assert table["aIQ"].isna().all()


def test_a_run_that_diverged_is_nan_with_its_reason_and_the_others_are_not(
    make_models, tiny_dataset, caplog
):
    models = make_models(2)
    diverge(models[1], layer=1)

    table = train(models, tiny_dataset).tables["efficiency"]

    columns = ["efficiency", "network_efficiency", "aIQ"]
    assert table[table["run"] == 1][columns].isna().to_numpy().all()
    assert table[table["run"] == 0][columns].notna().to_numpy().all()
    told = [text for text in caplog.messages if "is NaN in run 1 at epoch 0" in text]
    assert len(told) == len(set(told)) == 2


def test_a_checkpoint_does_not_hold_the_examples(tiny_dataset):
    recorder = efficiency.load(Notes(), Notes(), tiny_dataset, lambda epoch: True)

    arrays = [value for value in recorder.state().values() if isinstance(value, np.ndarray)]
    assert not arrays


def test_what_was_recorded_is_stored_when_training_fails(make_models, tiny_dataset):
    class Fail(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise RuntimeError("out of memory")

    notes = Notes()
    recorder = efficiency.load(notes, notes, tiny_dataset, lambda epoch: True)
    with pytest.raises(RuntimeError, match="out of memory"):
        Ensemble(make_models(1), 0).fit(
            tiny_dataset, 5, 16, callbacks=[[Fail()]], recorders=[recorder]
        )

    assert notes.tables["efficiency"]["epoch"].tolist() == [0, 0, 1, 1]


def test_a_readout_alone_is_no_model_to_measure(make_models, tiny_dataset):
    with pytest.raises(ConfigError, match="efficiency needs a model with a hidden layer"):
        train(make_models(1, architecture=[]), tiny_dataset)


@pytest.mark.parametrize("beta", [0, -1, True, "2", float("nan")])
def test_beta_must_be_a_number_above_0(tiny_dataset, beta):
    with pytest.raises(ConfigError, match=f"a number above 0 as beta, got {beta!r}"):
        efficiency.load(Notes(), Notes(), tiny_dataset, lambda epoch: True, beta)


def as_many_tokens_as_features():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((5, 5, 1)),
            keras.layers.Reshape((5, 5)),
            keras.layers.EinsumDense("btc,cd->btd", (5, 5), activation="tanh", name="tokens"),
            keras.layers.Flatten(),
            keras.layers.Dense(4, "tanh", name="hidden"),
            keras.layers.Dense(2, "softmax", name="pred"),
        ]
    )
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.mark.parametrize(
    ("channel_axis", "counted"),
    [({"tokens": -1}, -1), ({"EinsumDense": 1}, 1), ({"tokens": 2, "EinsumDense": 1}, 2)],
)
def test_an_axis_that_nobody_can_know_is_named_in_the_config(channel_axis, counted):
    dataset, model = images(), as_many_tokens_as_features()

    table = train([model], dataset, epochs=1, channel_axis=channel_axis).tables["efficiency"]

    tokens, hidden, *_ = feature_extractor(model).predict(dataset.test.examples, verbose=0)
    firing = np.moveaxis(tokens, counted, -1).reshape(-1, 5) > 0
    expected = [entropy_by_unique(firing) / 5, entropy_by_unique(hidden > 0) / 4]
    np.testing.assert_allclose(table["efficiency"], expected, rtol=1e-6)


def test_one_axis_is_that_of_all_layers():
    model = as_many_tokens_as_features()

    table = train([model], images(), epochs=1, channel_axis=-1).tables["efficiency"]

    assert table["efficiency"].notna().all()


def test_an_axis_that_is_not_named_is_asked_for(caplog):
    table = train([as_many_tokens_as_features()], images(), epochs=1).tables["efficiency"]

    assert table["efficiency"].isna().tolist() == [True, False]
    assert "tokens is NaN: it cannot be told which axis of its outputs, of shape (5, 5)" in (
        caplog.text
    )
    assert "name it as channel_axis of this callback" in caplog.text


@pytest.mark.parametrize(
    ("channel_axis", "sentence"),
    [
        ("last", "efficiency: channel_axis takes an axis, or axes by name or type of layer"),
        ({"tokens": 1.0}, "efficiency: channel_axis takes an axis"),
        ({"token": -1}, "channel_axis names 'token', .* did you mean 'tokens'"),
        (0, r"channel_axis is 0 for tokens, whose batches have the shape \(None, 5, 5\)"),
        ({"tokens": 3}, "channel_axis is 3 for tokens"),
        (2, r"channel_axis is 2 for hidden, whose batches have the shape \(None, 4\)"),
    ],
)
def test_an_axis_that_cannot_be_is_refused(channel_axis, sentence):
    with pytest.raises(ConfigError, match=sentence):
        train([as_many_tokens_as_features()], images(), epochs=1, channel_axis=channel_axis)
