"""The entropies of the original, by its own formulas."""

import math

import numpy as np
import pytest
from scipy.special import logsumexp

from deep_bottleneck.mi_estimator import kde

EXAMPLES = np.random.default_rng(0).standard_normal((30, 4)).astype(np.float32)


def mixture_entropy(examples, variance):
    n, d = examples.shape
    distances = ((examples[:, None].astype(float) - examples[None]) ** 2).sum(axis=2)
    densities = logsumexp(-distances / (2 * variance), axis=1) - math.log(n)
    return d / 2 - (densities - d / 2 * math.log(2 * math.pi * variance)).mean()


@pytest.mark.parametrize("variance", [0.01, 0.5, 10])
def test_entropies_are_those_of_the_original(variance):
    upper = mixture_entropy(EXAMPLES, variance)
    lower = mixture_entropy(EXAMPLES, 4 * variance) + math.log(0.25) * EXAMPLES.shape[1] / 2

    assert kde.entropy_estimator_kl(EXAMPLES, variance) == pytest.approx(upper, rel=1e-5)
    assert kde.entropy_estimator_bd(EXAMPLES, variance) == pytest.approx(lower, rel=1e-5)
    assert lower <= upper


def test_the_noise_alone_has_the_entropy_of_a_gaussian():
    of_one = 0.5 * math.log(2 * math.pi * math.e * 0.3)

    assert kde.kde_condentropy(EXAMPLES, 0.3) == pytest.approx(4 * of_one)
