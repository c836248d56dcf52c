import numpy as np
import pytest

from deep_bottleneck.information.hash_ensembles import CALIBRATED
from deep_bottleneck.information.hashing import hash_points


@pytest.mark.parametrize(
    ("x", "bandwidth", "sentence"),
    [
        (np.full((1, 3, 1), np.nan), 1, "NaN, infinite or too large"),
        (np.array([[[0.0], [np.inf]]]), 1, "NaN, infinite or too large"),
        (np.array([[[0.0], [1.0]]]), 1e-300, "above .* bandwidths"),
        (np.zeros((1, 0, 1)), 1, "at least one sample"),
        (np.zeros((3, 1)), 1, "shape .n_problems, n_samples, n_dimensions."),
        (np.zeros((1, 3, 1)), 0, "positive and finite, got 0"),
    ],
)
def test_what_cannot_be_hashed_is_refused(x, bandwidth, sentence):
    with pytest.raises(ValueError, match=sentence):
        hash_points(x, CALIBRATED, bandwidth)
