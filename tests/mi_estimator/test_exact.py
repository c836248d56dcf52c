import numpy as np
import pytest

from deep_bottleneck.errors import ConfigError, EstimationError
from deep_bottleneck.mi_estimator import exact


def plug_in(rows, labels):
    def entropy(states):
        _, counts = np.unique(states, axis=0, return_counts=True)
        share = counts / counts.sum()
        return -(share * np.log2(share)).sum()

    joint = np.column_stack([rows, labels])
    return entropy(rows), entropy(rows) + entropy(labels) - entropy(joint)


@pytest.mark.parametrize("bits", [1, 3, 6])
def test_it_is_the_entropy_of_the_states(bits):
    generator = np.random.default_rng(0)
    levels = (generator.integers(0, 2**bits, (2, 500, 3)) + 0.5) / 2**bits
    labels = generator.integers(0, 3, 500)

    information = exact.load(bits).estimate(levels.astype(np.float32), labels)

    expected = np.array([plug_in(run, labels) for run in levels])
    np.testing.assert_allclose(information.mi_xm, expected[:, 0], atol=1e-12)
    np.testing.assert_allclose(information.mi_ym, expected[:, 1], atol=1e-12)


def test_a_layer_that_is_not_quantised_is_refused():
    activations = np.random.default_rng(0).standard_normal((1, 100, 2)).astype(np.float32)

    with pytest.raises(EstimationError, match="take 200 values, more than the 64 of 6 bits"):
        exact.load(6).estimate(activations, np.arange(100) % 2)


def test_it_needs_a_quantised_model():
    with pytest.raises(ConfigError, match='set "quantize_bits"'):
        exact.load(None)
