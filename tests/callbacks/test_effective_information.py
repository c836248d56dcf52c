from types import SimpleNamespace

import keras
import numpy as np
import pytest
from notes import Notes, diverge

from deep_bottleneck.callbacks import effective_information
from deep_bottleneck.causal import channel_of, ei_parts, measures_of, topology_of
from deep_bottleneck.errors import ConfigError, UnresolvedWarning
from deep_bottleneck.interfaces import Dataset, LabelledDataset, LayerOutput
from deep_bottleneck.models import feedforward_batchnorm
from deep_bottleneck.training.ensemble import Ensemble
from deep_bottleneck.training.layers import watched_layers
from deep_bottleneck.training.lockstep import obstacles

OPTIONS = {"samples": 1_100, "in_bins": 4, "out_bins": 4}


def train(models, dataset, epochs=2, schedule=lambda epoch: True, callbacks=(), seed=7, **options):
    notes = Notes()
    recorder = effective_information.load(
        notes, notes, dataset, schedule, seed, **{**OPTIONS, **options}
    )
    Ensemble(models, seed=1).fit(dataset, epochs, 16, callbacks=callbacks, recorders=[recorder])
    return notes


def values(table, **where):
    for column, value in where.items():
        table = table[table[column] == value]
    return table["value"].to_numpy()


@pytest.mark.parametrize("together", [True, False])
def test_a_row_for_each_run_epoch_layer_and_measure(
    make_models, tiny_dataset, monkeypatch, together
):
    if not together:
        monkeypatch.setattr(obstacles, "obstacle", lambda models: "the test wants it")
    models = make_models(2)

    table = train(models, tiny_dataset).tables["effective_information"]

    assert list(table.columns) == ["run", "epoch", "layer", "name", "measure", "value"]
    assert table[["run", "epoch", "layer", "measure"]].to_numpy().tolist() == [
        [run, epoch, layer, measure]
        for run in range(2)
        for epoch in range(2)
        for layer in range(3)
        for measure in effective_information.MEASURES
    ]
    names = [layer.name for layer in watched_layers(models[0])]
    assert table["name"].unique().tolist() == names
    assert np.isfinite(table["value"]).all()


def test_values_are_those_of_the_library_on_the_runs_own_models(make_models, tiny_dataset):
    models = make_models(2)

    table = train(models, tiny_dataset, samples=2_000, correction=None).tables[
        "effective_information"
    ]

    examples = tiny_dataset.train.examples
    (seed,) = np.random.SeedSequence(7, spawn_key=(1,)).generate_state(1)
    for run, model in enumerate(models):
        topology = topology_of(model, None)
        for index, layer in enumerate(watched_layers(model)):
            in_range = (examples.min(), examples.max()) if index == 0 else None
            options = {"in_range": in_range, "in_bins": 4, "out_bins": 4, "outside": "clip"}
            own = values(table, run=run, epoch=1, layer=index)
            expected = measures_of(
                channel_of(layer, topology, **options), 2_000, seed=int(seed), correction=None
            )
            np.testing.assert_allclose(
                own, [float(expected[name]) for name in effective_information.MEASURES], atol=2e-3
            )
            assert own[1] == pytest.approx(
                ei_parts(layer, topology, samples=2_000, seed=int(seed), **options), abs=2e-3
            )


def test_the_noise_is_the_same_at_all_epochs_and_follows_the_seed(make_models, tiny_dataset):
    def recorded(seed):
        frozen = make_models(1, learning_rate=1e-30)
        return train(frozen, tiny_dataset, 3, seed=seed).tables["effective_information"]

    first, again, other = recorded(0), recorded(0), recorded(1)

    np.testing.assert_array_equal(values(first, epoch=0), values(first, epoch=2))
    np.testing.assert_array_equal(first["value"], again["value"])
    assert np.all(values(first, measure="ei_parts") != values(other, measure="ei_parts"))


def test_measuring_does_not_disturb_training(make_models, tiny_dataset):
    watched, alone = make_models(2), make_models(2)

    train(watched, tiny_dataset)
    Ensemble(alone, seed=1).fit(tiny_dataset, 2, 16)

    for one, other in zip(watched, alone, strict=True):
        for mine, theirs in zip(one.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_means_over_runs_are_metrics(make_models, tiny_dataset):
    notes = train(make_models(3), tiny_dataset)

    table = notes.tables["effective_information"]
    assert len(notes.metrics) == 3 * len(effective_information.MEASURES)
    for epoch, mean in notes.metrics["effective_information.layer_1.ei_parts"].items():
        assert mean == pytest.approx(values(table, epoch=epoch, layer=1, measure="ei_parts").mean())


def test_only_scheduled_epochs_and_the_last_of_each_run_are_recorded(make_models, tiny_dataset):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    notes = train(
        make_models(2), tiny_dataset, 5, lambda epoch: epoch == 0, callbacks=[[Stop()], []]
    )

    recorded = notes.tables["effective_information"][["run", "epoch"]].drop_duplicates()
    assert recorded.to_numpy().tolist() == [[0, 0], [0, 1], [1, 0], [1, 4]]


def test_a_run_that_diverged_is_nan_with_its_reason_and_the_others_are_not(
    make_models, tiny_dataset, caplog
):
    models = make_models(3)
    diverge(models[1], layer=1)

    table = train(models, tiny_dataset).tables["effective_information"]

    assert np.isnan(values(table, run=1)).all()
    assert np.isfinite(values(table, run=0)).all()
    assert np.isfinite(values(table, run=2)).all()
    told = [text for text in caplog.messages if "layer 1 is NaN at epoch 0" in text]
    assert len(told) == 1
    assert "NaN or infinite" in told[0]


def test_outputs_outside_their_range_are_told_once_for_each_layer(
    make_models, tiny_dataset, caplog
):
    notes = train(make_models(2), tiny_dataset, 3, out_range=[-0.1, 0.1])

    told = [text for text in caplog.messages if "lie outside out_range=(-0.1, 0.1)" in text]
    assert len(told) == 3
    assert "counted in the outermost bins" in told[0]
    assert notes.tables["effective_information"]["value"].notna().all()


def test_whole_vectors_that_too_few_samples_cannot_resolve_are_nan(
    make_models, tiny_dataset, caplog
):
    table = train(make_models(2), tiny_dataset, samples=300).tables["effective_information"]

    # of the layers with 4, 5 and 3 inputs of 4 bins the second has 2^10 states
    (told,) = [text for text in caplog.messages if "ei of layer 1 is NaN" in text]
    assert "300 samples can resolve at most 8.2 bits" in told
    assert table[table["value"].isna()][
        ["layer", "measure"]
    ].drop_duplicates().to_numpy().tolist() == [[1, "ei"]]


def test_batch_normalisation_is_measured_as_in_evaluation(make_models, tiny_dataset):
    models = make_models(2, load=feedforward_batchnorm.load)

    table = train(models, tiny_dataset).tables["effective_information"]

    assert table["value"].notna().all()


def images():
    generator = np.random.default_rng(0)

    def part():
        examples = generator.random((12, 6, 6, 1))
        return LabelledDataset.from_labels(examples, np.arange(12) % 2, n_classes=2)

    return Dataset(part(), part(), n_classes=2)


def of_layers(*hidden):
    model = keras.Sequential(
        [keras.Input((6, 6, 1)), *hidden, keras.layers.Dense(2, activation="softmax")]
    )
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model


def test_convolutions_are_measured_on_their_patch():
    models = [
        of_layers(keras.layers.Conv2D(2, 3, activation="elu"), keras.layers.Flatten())
        for _ in range(2)
    ]

    table = train(models, images()).tables["effective_information"]

    topology, layer = topology_of(models[0], None), models[0].layers[0]
    (seed,) = np.random.SeedSequence(7, spawn_key=(1,)).generate_state(1)
    limits = images().train.examples.min(), images().train.examples.max()
    channel = channel_of(layer, topology, in_range=limits, in_bins=4, out_bins=4, outside="clip")
    assert channel.n_inputs == 9
    with pytest.warns(UnresolvedWarning):
        expected = measures_of(channel, 1_100, seed=int(seed))["sensitivity"]
    found = values(table, run=0, epoch=1, layer=0, measure="sensitivity")
    assert found == pytest.approx(expected.numpy(), abs=2e-3)


def test_the_inputs_range_reaches_through_layers_that_keep_it():
    dataset = images()

    def sensitivity_of(model, **options):
        table = train([model], dataset, 1, **options).tables["effective_information"]
        return values(table, layer=0, measure="sensitivity")[0]

    keras.utils.set_random_seed(0)
    narrow = sensitivity_of(of_layers(keras.layers.Flatten()))
    keras.utils.set_random_seed(0)
    wide = sensitivity_of(of_layers(keras.layers.Flatten()), input_range=[-10, 10])

    assert narrow < wide / 4


def test_a_layer_of_a_kind_that_cannot_be_measured_is_nan(caplog):
    model = of_layers(keras.layers.Conv2DTranspose(2, 3), keras.layers.Flatten())

    table = train([model], images()).tables["effective_information"]

    assert np.isnan(values(table, layer=0)).all()
    assert np.isfinite(values(table, layer=1, measure="ei_parts")).all()
    (told,) = [text for text in caplog.messages if "layer 0 is NaN" in text]
    assert "Conv2DTranspose" in told
    assert "cannot be measured; layers that can are: Dense" in told


def test_an_activation_of_one_s_own_takes_part():
    def cubed(values):
        return values**3

    model = of_layers(keras.layers.Flatten(), keras.layers.Dense(3, activation=cubed))
    plain = of_layers(keras.layers.Flatten(), keras.layers.Dense(3))
    plain.set_weights(model.get_weights())

    of_cube, of_line = (
        train([each], images()).tables["effective_information"]["value"] for each in (model, plain)
    )

    assert of_cube.notna().sum() == of_line.notna().sum() > 0
    assert not np.allclose(of_cube.dropna(), of_line.dropna())


def test_a_model_whose_data_cannot_be_followed_is_one_sentence():
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.flat, self.dense = keras.layers.Flatten(), keras.layers.Dense(3)

        def call(self, values):
            return self.dense(self.flat(values))

    recorder = effective_information.load(Notes(), Notes(), images(), lambda epoch: True, seed=0)
    dense = LayerOutput("dense", (3,), -1)
    group = SimpleNamespace(
        models=[Subclassed()], runs=[0], layer_outputs=[dense], example=lambda row: ((), {}),
        layers=lambda row: [group.models[row].dense],
    )  # fmt: skip

    with pytest.raises(ConfigError, match="effective_information cannot measure this model: the K"):
        recorder.record(0, group, np.array([0]))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"samples": 1}, "samples must be an integer of at least 2, got 1"),
        ({"samples": "many"}, "many"),
        ({"in_bins": 0}, "in_bins must be a positive integer, got 0"),
        ({"out_bins": "few"}, "out_bins must be a positive integer, got 'few'"),
        ({"input_range": "dynamic"}, "only out_range can be dynamic"),
        ({"input_range": [1, 0]}, "in_range must be a pair"),
        ({"out_range": 3}, "out_range must be a pair"),
        ({"outside": "wrap"}, "outside must be"),
        ({"correction": "magic"}, "correction must be None or one of"),
        ({"others": "one"}, 'others must be "zero" or "random"'),
    ],
)
def test_mistaken_options_are_one_sentence_before_training(tiny_dataset, options, sentence):
    with pytest.raises(ConfigError, match=f'"callbacks": effective_information: .*{sentence}'):
        effective_information.load(
            Notes(), Notes(), tiny_dataset, lambda epoch: True, 0, **{**OPTIONS, **options}
        )


def test_quantised_activations_are_refused_before_training(tiny_dataset):
    with pytest.raises(ConfigError, match=r"cannot measure quantised .* is 4: set it"):
        effective_information.load(
            Notes(), Notes(), tiny_dataset, lambda epoch: True, 0, **OPTIONS, quantize_bits=4
        )


@pytest.mark.gpu
def test_a_gpu_measures_the_same_with_noise_of_its_own(make_models, tiny_dataset):
    options = {"epochs": 1, "samples": 20_000}
    on_cpu, on_gpu = (
        train(make_models(2), tiny_dataset, device=device, **options)
        for device in ("cpu", "cuda:0")
    )

    expected, found = (notes.tables["effective_information"] for notes in (on_cpu, on_gpu))
    np.testing.assert_allclose(found["value"], expected["value"], atol=0.1)
