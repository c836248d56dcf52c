import keras
import pytest
from notes import Notes, diverge

from deep_bottleneck.callbacks import weight_graph_information
from deep_bottleneck.causal import weight_graph
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.training.ensemble import Ensemble
from deep_bottleneck.training.layers import watched_layers


def train(models, dataset, **options):
    notes = Notes()
    recorder = weight_graph_information.load(notes, notes, lambda epoch: True, **options)
    Ensemble(models, seed=1).fit(dataset, 2, 16, recorders=[recorder])
    return notes


@pytest.mark.parametrize("norm", ["lin_norm", "soft_norm", "sig_norm"])
def test_values_are_those_of_the_library_on_the_runs_own_models(make_models, tiny_dataset, norm):
    models = make_models(2)

    table = train(models, tiny_dataset, norm=norm).tables["weight_graph_information"]

    last = table[table["epoch"] == 1].set_index(["run", "layer", "measure"])["value"]
    for run, model in enumerate(models):
        shapes = weight_graph.get_shapes(model)
        parts = {-1: shapes} | {
            index: {layer: shapes[layer]} for index, layer in enumerate(watched_layers(model))
        }
        for index, part in parts.items():
            for measure in ("ei", "determinism", "degeneracy"):
                expected = getattr(weight_graph, measure)(
                    model, shapes=part, norm=getattr(weight_graph, norm)
                )
                assert last[run, index, measure] == pytest.approx(expected)
    assert table[table["layer"] == -1]["name"].unique().tolist() == ["network"]


def test_means_over_runs_are_metrics(make_models, tiny_dataset):
    notes = train(make_models(2), tiny_dataset)

    table = notes.tables["weight_graph_information"]
    chosen = table[(table["layer"] == -1) & (table["measure"] == "ei") & (table["epoch"] == 1)]
    assert notes.metrics["weight_graph_information.network.ei"][1] == pytest.approx(
        chosen["value"].mean()
    )
    assert "weight_graph_information.layer_2.degeneracy" in notes.metrics


def test_weights_that_are_not_finite_are_nan_with_their_reason(make_models, tiny_dataset, caplog):
    models = make_models(2)
    diverge(models[1], layer=0)

    table = train(models, tiny_dataset).tables["weight_graph_information"]

    assert table[table["run"] == 1]["value"].isna().all()
    assert table[table["run"] == 0]["value"].notna().all()
    (told,) = [text for text in caplog.messages if "is NaN" in text]
    assert "its weights are NaN or infinite" in told


class Shifted(keras.layers.Layer):
    """A layer with a kernel whose product it does not take alone."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 2), name="kernel")

    def call(self, values):
        return keras.ops.matmul(values, self.kernel + 1)


def test_a_layer_without_a_weight_graph_is_nan(tiny_dataset, caplog):
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Reshape((4, 1)),
            Shifted(name="shifted"),
            keras.layers.Flatten(),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])

    table = train([model], tiny_dataset).tables["weight_graph_information"]

    assert table[table["layer"] == 0]["value"].isna().all()
    assert table[table["layer"] == 1]["value"].notna().all()
    assert any("it is of a kind with no weight graph" in text for text in caplog.messages)
    assert any("left out of the weight graph: shifted (Shifted)" in m for m in caplog.messages)


def test_an_unknown_norm_is_one_sentence():
    with pytest.raises(ConfigError, match=r"knows the norms lin_norm, soft_norm, sig_norm, got 'l"):
        weight_graph_information.load(Notes(), Notes(), lambda epoch: True, norm="l2")
