import numpy as np
import pytest

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.mi_estimator import binning_adaptive

LABELS = np.arange(64) % 2


def test_a_unit_with_different_values_uses_all_bins_alike():
    activations = np.random.default_rng(0).lognormal(size=(3, 64, 1)).astype(np.float32)

    information = binning_adaptive.load(16).estimate(activations, LABELS)

    assert information.mi_xm == pytest.approx(4)


def test_growing_activations_change_nothing():
    activations = np.random.default_rng(0).standard_normal((2, 64, 3)).astype(np.float32)

    small, large = (
        binning_adaptive.load(30).estimate(factor * activations, LABELS) for factor in (1, 64)
    )

    assert np.array_equal(small.mi_xm, large.mi_xm)
    assert np.array_equal(small.mi_ym, large.mi_ym)


def test_all_units_of_a_layer_share_its_bins():
    """Beside a unit with larger values, one with small values has half of the bins."""
    ramp = np.linspace(0, 1, 64, dtype=np.float32)
    together = np.stack([ramp, np.full_like(ramp, 5.0)], axis=1)[None]

    alone = binning_adaptive.load(16).estimate(ramp[None, :, None], LABELS)
    beside = binning_adaptive.load(16).estimate(together, LABELS)

    assert (alone.mi_xm.item(), beside.mi_xm.item()) == pytest.approx((4, 3))


def test_silent_relus_share_a_bin():
    activations = np.maximum(np.linspace(-3, 1, 64, dtype=np.float32), 0)[None, :, None]

    information = binning_adaptive.load(16).estimate(activations, LABELS)

    expected = -0.75 * np.log2(0.75) + 0.25 * np.log2(64)
    assert information.mi_xm.item() < expected
    assert information.mi_xm.item() == pytest.approx(-0.75 * np.log2(0.75) + 0.25 * 4, abs=0.1)


def test_runs_have_bins_of_their_own():
    ramp = np.linspace(0, 1, 64, dtype=np.float32)[:, None]

    information = binning_adaptive.load(8).estimate(np.stack([ramp, 100 * ramp]), LABELS)

    assert information.mi_xm == pytest.approx(3)


def test_the_number_of_bins_is_a_whole_number():
    with pytest.raises(ConfigError, match="should be a whole number"):
        binning_adaptive.load(0.07)
