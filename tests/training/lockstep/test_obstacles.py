"""What trains with `model.fit` instead, and the sentence that says why."""

import keras
import numpy as np
import pytest

from deep_bottleneck.training.lockstep.obstacles import ObstacleError, obstacle


def model(**changes):
    layers = keras.layers
    settings = {"units": 5, "activation": "tanh", "rate": 0.2, "optimizer": "sgd", **changes}
    made = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(settings["units"], settings["activation"]),
            layers.Dropout(settings["rate"], seed=changes.get("seed")),
            layers.Dense(2, "softmax"),
        ]
    )
    made.compile(settings["optimizer"], "categorical_crossentropy", metrics=["accuracy"])
    return made


@pytest.mark.backend("torch")
def test_other_backends_know_no_compiled_runs():
    assert obstacle([model()]) == "the backend is torch"


def test_models_may_differ_in_names_seeds_weights_and_learning_rates():
    models = [model(seed=run) for run in range(3)]
    models[1].optimizer.learning_rate = 0.5

    assert obstacle(models) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"units": 6}, "the models differ in shape"),
        ({"activation": "relu"}, "differ in a setting"),
        ({"rate": 0.3}, "differ in a setting"),
        ({"optimizer": keras.optimizers.SGD(0.01, momentum=0.9)}, "differ in a setting"),
        ({"optimizer": keras.optimizers.SGD(0.01, clipnorm=1.0)}, "differ in a setting"),
    ],
)
def test_models_that_differ_train_one_after_the_other(changes, reason):
    assert reason in obstacle([model(), model(), model(**changes)])


def test_a_subclass_may_have_numbers_of_its_own_but_the_same_in_each_run():
    class Scaled(keras.Sequential):
        scale = 1.0

        def compute_loss(self, *arguments, **keywords):
            return self.scale * super().compute_loss(*arguments, **keywords)

    def scaled(scale):
        made = Scaled([keras.Input((4,)), keras.layers.Dense(2, "softmax")])
        made.compile("sgd", "categorical_crossentropy")
        made.scale = scale
        return made

    assert obstacle([scaled(2.0), scaled(2.0)]) is None
    assert "differ in a setting" in obstacle([scaled(2.0), scaled(3.0)])


@pytest.mark.parametrize("method", ["fit", "evaluate", "make_train_function", "reset_metrics"])
def test_a_subclass_with_its_own_loop_keeps_it(method):
    kind = type("Own", (keras.Sequential,), {method: lambda self, *_, **__: None})
    made = kind([keras.Input((4,)), keras.layers.Dense(2)])
    made.compile("sgd", "mse")

    assert obstacle([made]) == f"Own has a method {method} of its own"


def test_a_model_that_was_not_compiled_is_said_to_be():
    assert obstacle([keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])]) == (
        "the model is not compiled"
    )


def test_a_step_that_looks_at_numbers_is_not_compiled(group):

    made = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, "softmax")])
    made.compile("sgd", "categorical_crossentropy")
    made.layers[0].activation = lambda inputs: inputs * float(inputs.sum())

    with pytest.raises(ObstacleError, match=r"a step cannot be compiled \("):
        group([made])


def test_a_metric_that_is_no_number_is_left_to_model_fit(group):
    made = model()
    made.compile("sgd", "categorical_crossentropy", metrics=[keras.metrics.F1Score(name="f1")])

    with pytest.raises(ObstacleError, match="the metric f1 is more than one number"):
        group([made])


def test_weights_that_are_no_float32_are_stacked_as_they_are(group, values):
    made = model()
    assert {v.dtype for v in made.variables} == {"float32", "uint32"}

    trained = group([made])
    trained.train_epoch(0)
    trained.release()

    assert np.isfinite(values(made)).all()
