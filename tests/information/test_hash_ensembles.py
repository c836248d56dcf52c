import math

import numpy as np
import pytest
import torch

from deep_bottleneck.information.hash_ensembles import CALIBRATED, balanced_bandwidths
from deep_bottleneck.information.hashing import hash_points


def test_a_balanced_hash_of_a_gaussian_has_three_eighths_of_the_bits():
    x = np.random.default_rng(0).standard_normal((1, 4096, 1))

    assert hash_points(x, CALIBRATED).entropy.mean().item() == pytest.approx(4.5, abs=0.03)


def test_balanced_bandwidths_are_continuous_and_grow_with_dimensions():
    widths = balanced_bandwidths(4096, torch.arange(1, 800))

    assert torch.all(torch.diff(widths) > 0)
    assert float(widths[0]) == pytest.approx(math.sqrt(2 * math.pi * math.e) / 2**4.5)
