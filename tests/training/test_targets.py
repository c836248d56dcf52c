import keras
import numpy as np
import pytest

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import LabelledDataset
from deep_bottleneck.training.targets import targets, tell_of_odd_rules


def part(n_classes):
    return LabelledDataset.from_labels(np.ones((4, 3)), np.arange(4) % n_classes, n_classes)


def model(units, loss):
    made = keras.Sequential([keras.Input((3,)), keras.layers.Dense(units, name="out")], name="net")
    made.compile("sgd", loss)
    return made


def of_ones_own(labels, outputs):
    return keras.ops.mean((labels - outputs) ** 2)


def test_a_sparse_loss_takes_the_classes_and_others_one_number_for_each():
    labels = part(3)

    sparse = keras.losses.SparseCategoricalCrossentropy()
    np.testing.assert_array_equal(targets(model(3, sparse), labels), [0, 1, 2, 0])
    np.testing.assert_array_equal(targets(model(3, "mse"), labels), np.eye(3)[[0, 1, 2, 0]])


@pytest.mark.parametrize(
    "loss", ["binary_crossentropy", keras.losses.BinaryFocalCrossentropy(), "hinge", of_ones_own]
)
def test_one_unit_tells_two_classes_apart(loss):
    np.testing.assert_array_equal(targets(model(1, loss), part(2)), [[0], [1], [0], [1]])


@pytest.mark.parametrize("loss", ["mse", keras.losses.Huber(), "categorical_crossentropy"])
def test_one_unit_with_a_loss_of_something_else_is_one_sentence(loss):
    with pytest.raises(ConfigError, match="has one output unit and the loss"):
        targets(model(1, loss), part(2))


def test_one_unit_for_three_classes_is_one_sentence():
    with pytest.raises(ConfigError, match="can tell two classes apart, but the data set has 3"):
        targets(model(1, "binary_crossentropy"), part(3))


def with_output(shape, loss, kind=keras.Model, metrics=None):
    given = keras.Input((3,))
    outputs = keras.layers.Dense(int(np.prod(shape)), name="out")(given)
    made = kind(given, keras.layers.Reshape(shape)(outputs), name="net")
    made.compile("sgd", loss, metrics=metrics)
    return made


@pytest.mark.parametrize(
    ("shape", "loss"),
    [
        ((1, 3), "mse"),  # would be compared with the labels of all others
        ((1, 3), "categorical_hinge"),
        ((3, 1), "sparse_categorical_crossentropy"),
        ((4,), "mse"),
        ((2,), "categorical_crossentropy"),
        ((2,), "sparse_categorical_crossentropy"),  # would know nothing of the third class
        ((1,), ["sparse_categorical_crossentropy"]),
    ],
)
def test_an_output_of_another_shape_than_the_labels_is_one_sentence(shape, loss):
    with pytest.raises(ConfigError, match=r"net has an output of shape .* takes \(None, 3\)$"):
        targets(with_output(shape, loss), part(3))


def test_a_sparse_loss_may_have_outputs_that_no_label_names():
    made = with_output((5,), "sparse_categorical_crossentropy")

    np.testing.assert_array_equal(targets(made, part(3)), [0, 1, 2, 0])


@pytest.mark.parametrize("held", [lambda loss: [loss], lambda loss: {"out": loss}])
def test_a_loss_may_be_named_for_its_output(held):
    sparse, mse = (held(loss) for loss in ("sparse_categorical_crossentropy", "mse"))

    np.testing.assert_array_equal(targets(model(3, sparse), part(3)), [0, 1, 2, 0])
    with pytest.raises(ConfigError, match="has one output unit and the loss mse"):
        targets(model(1, mse), part(2))


@pytest.mark.parametrize("loss", ["mse", ["mse", "mse"], {"first": "mse", "second": "mse"}])
def test_several_outputs_are_one_sentence(loss):
    given = keras.Input((3,))
    outputs = [keras.layers.Dense(2, name=name)(given) for name in ("first", "second")]
    made = keras.Model(given, outputs, name="net")
    made.compile("sgd", loss)

    with pytest.raises(ConfigError, match="net has 2 outputs, but the data set one label"):
        targets(made, part(2))


@pytest.mark.parametrize("method", ["train_step", "compute_loss"])
def test_a_rule_of_its_own_or_a_loss_may_take_what_it_likes(method):
    own = type("Own", (keras.Model,), {method: lambda self, *_, **__: None})

    np.testing.assert_array_equal(
        targets(with_output((5, 2), "mse", own), part(3)), np.eye(3)[[0, 1, 2, 0]]
    )
    assert targets(with_output((16,), of_ones_own), part(3)).shape == (4, 3)


@pytest.mark.parametrize(
    ("units", "loss", "metric", "sentence"),
    [
        (3, "sparse_categorical_crossentropy", "categorical_accuracy", "a sparse metric does"),
        (3, "sparse_categorical_crossentropy", "mse", "a sparse metric does"),
        (3, "sparse_categorical_crossentropy", keras.metrics.AUC(), "a sparse metric does"),
        (1, "binary_crossentropy", "categorical_accuracy", "binary_accuracy does not"),
    ],
)
def test_a_metric_of_other_labels_is_one_sentence(units, loss, metric, sentence):
    made = with_output((units,), loss, metrics=["accuracy", metric])

    with pytest.raises(ConfigError, match=f"the metric .*{sentence}"):
        targets(made, part(max(units, 2)))


def test_metrics_of_the_same_labels_and_of_ones_own_are_fine():
    metrics = ["acc", "sparse_categorical_accuracy", of_ones_own]

    targets(with_output((3,), "sparse_categorical_crossentropy", metrics=metrics), part(3))
    targets(with_output((1,), "binary_crossentropy", metrics=["AUC", "accuracy"]), part(2))
    targets(with_output((3,), "mse", metrics=["categorical_accuracy", "mae"]), part(3))


def test_several_inputs_are_one_sentence():
    both = [keras.Input((3,), name=name) for name in ("left", "right")]
    made = keras.Model(both, keras.layers.Dense(2)(keras.layers.Add()(both)), name="net")
    made.compile("sgd", "mse")

    with pytest.raises(ConfigError, match="net has 2 inputs, but the data set one array"):
        targets(made, part(2))


@pytest.mark.parametrize(
    ("wanted", "given", "goes"),
    [
        ((3,), (3,), True),
        ((None, 3), (5, 3), True),
        ((None, 3), (1, 3), True),
        ((4, 4, 1), (4, 4), True),
        ((16,), (4, 4), False),
        ((4,), (3,), False),
        ((None, 3), (5, 4), False),
    ],
)
def test_examples_that_a_model_does_not_take_are_one_sentence(wanted, given, goes):
    examples = LabelledDataset.from_labels(np.ones((4, *given)), np.arange(4) % 2, 2)
    inputs = keras.Input(wanted)
    made = keras.Model(inputs, keras.layers.Dense(2)(keras.ops.sum(inputs[..., None], 1)))
    made.compile("sgd", of_ones_own)

    if goes:
        targets(made, examples)
    else:
        with pytest.raises(ConfigError, match=r"takes inputs of shape .* but the examples have"):
            targets(made, examples)


def test_rules_that_are_easily_taken_for_others_are_told(caplog):
    own = type("Own", (keras.Model,), {"predict_step": lambda self, *_: None})

    tell_of_odd_rules(with_output((3,), "mse"))
    assert not caplog.text
    tell_of_odd_rules(with_output((3,), None, own))

    assert (
        "net is compiled without a loss: it learns nothing but what its layers add" in caplog.text
    )
    assert "net has a predict_step of its own, which is not asked" in caplog.text
