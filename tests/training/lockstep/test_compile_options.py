"""Everything that `Model.compile`, an optimizer and a subclass can change trains as in `fit`.

The list is what `keras.Model.compile` takes and what `keras.optimizers.Optimizer` is made with; a
test holds it against their signatures, so that an option which a later Keras brings is not missed.
"""

import inspect
from functools import partial

import keras
import numpy as np
import pytest

from deep_bottleneck.config import Config
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.training.lockstep.obstacles import obstacle

ROUNDING = 1e-5
SGD = keras.optimizers.SGD
Adam = keras.optimizers.Adam


def softmax(kind=keras.Model, outputs=2, activation="softmax", between=(), **first):
    """Two dense layers; `first` changes the first of them."""
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(5, **{"activation": "tanh", **first})(inputs)
    for layer in between:
        hidden = layer(hidden)
    return kind(inputs, keras.layers.Dense(outputs, activation, name="readout")(hidden))


def compiled(model, loss="categorical_crossentropy", optimizer=None, **options):
    model.compile(optimizer or SGD(0.1), loss, **{"metrics": ["accuracy"], **options})
    return model


class FiveTimes(keras.Model):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return 5.0 * super().compute_loss(x, y, y_pred, sample_weight, training)


class Still(keras.Model):
    """Its own rule of training: nothing moves."""

    def train_step(self, state, data):
        return {"loss": 0.0}, state


class DoublesTests(keras.Model):
    def test_step(self, state, data):
        logs, state = super().test_step(state, data)
        return {"loss": 2.0 * logs["loss"]}, state


class Predicts(keras.Model):
    def predict_step(self, state, data):
        return keras.ops.zeros((1, 1)), state


class Counted(keras.Model):
    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        results = super().compute_metrics(x, y, y_pred, sample_weight)
        return results | {"mean_of_outputs": keras.ops.mean(y_pred)}


class Penalised(keras.layers.Layer):
    def call(self, inputs):
        self.add_loss(0.1 * keras.ops.sum(keras.ops.square(inputs)))
        return inputs


def decay():
    return keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)


def cross_entropy(targets, outputs):
    return -keras.ops.sum(targets * keras.ops.log(outputs), axis=-1)


def two_optimizers():
    by_layer = keras.optimizers.OptimizerMap(SGD(0.1))
    by_layer["readout/.*"] = Adam(0.01)
    return keras.optimizers.MultiOptimizer(by_layer)


def with_optimizer(name):
    return compiled(softmax(), optimizer=getattr(keras.optimizers, name)(0.01))


OPTIMIZERS = (
    *("Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lamb", "Lion"),
    *("Muon", "Nadam", "RMSprop", "ScheduleFreeAdamW"),
)
TRAINED = {
    "loss_weights": lambda: compiled(softmax(), loss_weights=[0.25]),
    "loss_weights of 0": lambda: compiled(softmax(), loss_weights=[0.0]),
    "metrics": lambda: compiled(
        softmax(), metrics=["accuracy", keras.metrics.AUC(name="auc"), "mse"]
    ),
    "metrics none": lambda: compiled(softmax(), metrics=None),
    "weighted_metrics": lambda: compiled(softmax(), weighted_metrics=["accuracy"]),
    "loss a function": lambda: compiled(softmax(), loss=cross_entropy),
    "loss an object": lambda: compiled(
        softmax(), loss=keras.losses.CategoricalCrossentropy(label_smoothing=0.2)
    ),
    "loss summed": lambda: compiled(
        softmax(), loss=keras.losses.CategoricalCrossentropy(reduction="sum")
    ),
    "loss in a list": lambda: compiled(
        softmax(), loss=["sparse_categorical_crossentropy"], loss_weights=[0.5]
    ),
    "loss by output": lambda: compiled(
        softmax(), loss={"readout": "sparse_categorical_crossentropy"}
    ),
    "logits": lambda: compiled(
        softmax(activation=None), loss=keras.losses.CategoricalCrossentropy(from_logits=True)
    ),
    "sparse": lambda: compiled(softmax(), loss="sparse_categorical_crossentropy"),
    "sparse logits": lambda: compiled(
        softmax(activation=None),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    ),
    "one sigmoid unit": lambda: compiled(
        softmax(outputs=1, activation="sigmoid"), loss="binary_crossentropy"
    ),
    "crossentropy": lambda: compiled(softmax(), loss="crossentropy"),
    "hinge": lambda: compiled(softmax(), loss="categorical_hinge"),
    "compute_loss": lambda: compiled(softmax(FiveTimes)),
    "train_step": lambda: compiled(softmax(Still)),
    "test_step": lambda: compiled(softmax(DoublesTests)),
    "predict_step": lambda: compiled(softmax(Predicts)),
    "compute_metrics": lambda: compiled(softmax(Counted)),
    "add_loss": lambda: compiled(softmax(between=[Penalised()])),
    "regularizer": lambda: compiled(softmax(kernel_regularizer="l2", bias_regularizer="l1")),
    "activity regularizer": lambda: compiled(softmax(activity_regularizer="l2")),
    "constraint": lambda: compiled(softmax(kernel_constraint="unit_norm")),
    "frozen layer": lambda: compiled(softmax(trainable=False)),
    "no bias": lambda: compiled(softmax(use_bias=False)),
    "normalised": lambda: compiled(
        softmax(between=[keras.layers.BatchNormalization(), keras.layers.LayerNormalization()])
    ),
    "noise": lambda: compiled(
        softmax(between=[keras.layers.GaussianNoise(0.1), keras.layers.Dropout(0.2)])
    ),
    "mixed_float16": lambda: compiled(
        softmax(dtype="mixed_float16"),
        optimizer=keras.optimizers.LossScaleOptimizer(SGD(0.1), initial_scale=64.0),
    ),
    "clipnorm": lambda: compiled(softmax(), optimizer=SGD(0.1, clipnorm=0.01)),
    "global_clipnorm": lambda: compiled(softmax(), optimizer=SGD(0.1, global_clipnorm=0.01)),
    "clipvalue": lambda: compiled(softmax(), optimizer=SGD(0.1, clipvalue=0.001)),
    "weight_decay": lambda: compiled(softmax(), optimizer=SGD(0.1, weight_decay=0.1)),
    "use_ema": lambda: compiled(
        softmax(), optimizer=SGD(0.1, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=3)
    ),
    "use_ema to the end": lambda: compiled(softmax(), optimizer=SGD(0.1, use_ema=True)),
    "loss_scale_factor": lambda: compiled(softmax(), optimizer=SGD(0.1, loss_scale_factor=8.0)),
    "gradient_accumulation_steps": lambda: compiled(
        softmax(), optimizer=SGD(0.1, gradient_accumulation_steps=2)
    ),
    "learning_rate a schedule": lambda: compiled(softmax(), optimizer=Adam(decay())),
    "MultiOptimizer": lambda: compiled(softmax(), optimizer=two_optimizers()),
    **{name: partial(with_optimizer, name) for name in OPTIMIZERS},
}

HANDED_OVER = {
    "run_eagerly": (lambda: compiled(softmax(), run_eagerly=True), "run_eagerly"),
    "jit_compile": (lambda: compiled(softmax(), jit_compile=False), "jit_compile"),
    "steps_per_execution": (
        lambda: compiled(softmax(), steps_per_execution=2),
        "steps_per_execution=2",
    ),
}


def made(make):
    models = []
    for run in range(2):
        keras.utils.set_random_seed(run)
        models.append(make())
    return models


# one of each kind; XLA takes seconds to compile each of the others
QUICK = ("loss_weights", "regularizer", "constraint", "normalised", "clipnorm", "use_ema")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in TRAINED],
)
def test_an_option_trains_as_in_model_fit(name, group, model_fit, values):
    together, alone = made(TRAINED[name]), made(TRAINED[name])
    assert obstacle(together) is None

    trained = group(together)
    logs = [trained.train_epoch(epoch) for epoch in range(3)]
    trained.release()
    model = alone[1]
    before = model.get_weights()
    history = model_fit(model, 1, 3)

    # half precision has a thousandth of its own, of which the loss is scaled by 64
    tolerance = 1e-2 if name == "mixed_float16" else ROUNDING
    np.testing.assert_allclose(values(together[1]), values(model), atol=tolerance)
    assert set(history) == set(logs[0])
    for metric, of_epochs in history.items():
        ours = [of_epoch[metric][1] for of_epoch in logs]
        np.testing.assert_allclose(ours, of_epochs, atol=max(tolerance, 1e-4), rtol=1e-4)
    assert name in ("train_step", "loss_weights of 0") or any(
        (weight != old).any() for weight, old in zip(model.get_weights(), before, strict=True)
    )


@pytest.mark.parametrize("name", HANDED_OVER)
def test_an_option_that_asks_for_another_loop_is_handed_over(name):
    make, said = HANDED_OVER[name]

    assert said in obstacle(made(make))


def test_no_option_of_compile_is_missing_here():
    options = set(inspect.signature(keras.Model.compile).parameters) - {"self"}

    # auto_scale_loss only chooses an optimizer, which "mixed_float16" names
    known = {"optimizer", "loss", "auto_scale_loss", *TRAINED, *HANDED_OVER}
    assert options <= known


GIVEN = {
    *("x", "y", "batch_size", "epochs", "callbacks", "steps_per_epoch", "shuffle", "verbose"),
    *("validation_data", "validation_batch_size", "initial_epoch"),
}
NOT_OFFERED = (
    *("class_weight", "sample_weight"),
    *("validation_split", "validation_steps", "validation_freq"),
)


@pytest.mark.parametrize("name", NOT_OFFERED)
def test_what_fit_takes_and_a_config_cannot_say_is_refused(name):
    with pytest.raises(ConfigError, match=name):
        Config.parse({name: 0.5})


def test_no_argument_of_fit_is_missing_here():
    options = set(inspect.signature(keras.Model.fit).parameters) - {"self"}

    assert options <= {*GIVEN, *NOT_OFFERED}


def test_no_option_of_an_optimizer_is_missing_here():
    options = set(inspect.signature(keras.optimizers.Optimizer).parameters) - {"kwargs"}

    known = {"name", "learning_rate", "ema_momentum", "ema_overwrite_frequency", *TRAINED}
    assert options <= known
    optimizers = {
        name
        for name, kind in vars(keras.optimizers).items()
        if inspect.isclass(kind) and issubclass(kind, keras.optimizers.Optimizer)
    }
    assert optimizers - {"Optimizer", "SGD", "LossScaleOptimizer"} <= set(TRAINED)
