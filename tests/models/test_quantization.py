import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from deep_bottleneck.causal import channel_of, topology_of
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.models.quantization import RANGES, QuantizedActivation
from deep_bottleneck.training.ensemble import Ensemble
from deep_bottleneck.training.layers import feature_extractor


@pytest.mark.parametrize("activation", RANGES)
@pytest.mark.parametrize("bits", [1, 4])
def test_values_are_centres_of_equal_intervals(activation, bits):
    inputs = np.linspace(-20, 20, 4001, dtype=np.float32).reshape(1, -1)

    values = np.asarray(QuantizedActivation(activation, bits)(inputs))

    low, high = RANGES[activation]
    step = (high - low) / 2**bits
    centres = np.float32(low) + (np.arange(2**bits) + 0.5) * step
    levels = np.unique(values)
    assert len(levels) <= 2**bits
    assert all(np.isclose(centres, level, atol=1e-5).any() for level in levels)


@pytest.mark.parametrize("activation", RANGES)
def test_effective_information_is_measured_on_the_same_range(activation):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation=activation)])

    channel = channel_of(model.layers[0], topology_of(model, None))

    assert channel.out_range == RANGES[activation]


def test_rounding_is_by_at_most_half_a_step():
    inputs = np.linspace(-4, 4, 1001, dtype=np.float32)

    error = np.asarray(QuantizedActivation("tanh", 6)(inputs)) - np.tanh(inputs)

    assert np.abs(error).max() <= 1 / 64 + 1e-6


def test_gradients_pass_as_if_nothing_were_rounded():
    inputs = jnp.linspace(-2, 2, 9)

    gradient = jax.grad(lambda values: QuantizedActivation("tanh", 3)(values).sum())(inputs)

    np.testing.assert_allclose(gradient, 1 - np.tanh(inputs) ** 2, rtol=1e-5)


def test_a_clipped_value_has_no_gradient():
    inputs = jnp.array([-3.0, 5.0, 30.0])

    gradient = jax.grad(lambda values: QuantizedActivation("relu", 3)(values).sum())(inputs)

    assert gradient.tolist() == [0.0, 1.0, 0.0]


def test_a_quantised_network_trains_in_lockstep_and_shows_few_values(make_models, tiny_dataset):
    models = make_models(2, quantize_bits=3, learning_rate=0.05)

    before = models[0].evaluate(
        tiny_dataset.train.examples, tiny_dataset.train.one_hot_labels, verbose=0
    )
    Ensemble(models, seed=0).fit(tiny_dataset, 40, 10)
    after = models[0].evaluate(
        tiny_dataset.train.examples, tiny_dataset.train.one_hot_labels, verbose=0
    )

    assert after[0] < before[0]
    *layers, _ = feature_extractor(models[0])(tiny_dataset.train.examples)
    for layer in layers:
        assert len(np.unique(layer)) <= 8


def test_lockstep_equals_fit(make_models, tiny_dataset, monkeypatch):
    together, alone = (make_models(2, quantize_bits=4) for _ in range(2))

    Ensemble(together, seed=0).fit(tiny_dataset, 3, 10)
    monkeypatch.setattr(
        "deep_bottleneck.training.lockstep.obstacles.obstacle", lambda models: "the test wants it"
    )
    Ensemble(alone, seed=0).fit(tiny_dataset, 3, 10)

    for one, other in zip(together[1].get_weights(), alone[1].get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_quantised_model_can_be_saved(make_models, tmp_path):
    (model,) = make_models(1, quantize_bits=4)
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "model.keras")

    loaded = keras.saving.load_model(tmp_path / "model.keras")

    inputs = np.ones((2, 4), np.float32)
    np.testing.assert_array_equal(model(inputs), loaded(inputs))


def test_an_activation_of_unknown_range_says_which_are_known():
    with pytest.raises(ConfigError, match="gelu has no known range, one of tanh"):
        QuantizedActivation("gelu", 4)
