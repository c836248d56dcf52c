import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from deep_bottleneck.information.bins import equal_bins, quantile_bins


def test_equal_bins_are_numpy_s_histogram():
    values = np.random.default_rng(0).uniform(-1, 1, 1000)

    counts = torch.bincount(equal_bins(values, 30, -1, 1), minlength=30)

    assert counts.tolist() == np.histogram(values, 30, (-1, 1))[0].tolist()


def test_equal_bins_are_closed_below_and_the_last_one_on_both_sides():
    assert equal_bins(np.array([-1.0, -0.5, 0.0, 0.49, 1.0]), 4, -1, 1).tolist() == [0, 1, 2, 2, 3]


def test_values_beyond_the_limits_are_in_the_bins_at_them():
    assert equal_bins(np.array([-7.0, 7.0]), 3, -1, 1).tolist() == [0, 2]


def test_limits_that_meet_leave_one_bin_for_the_value_there():
    assert equal_bins(np.full(3, 2.0), 30, 2, 2).tolist() == [0, 0, 0]


def test_problems_may_have_limits_of_their_own():
    ramp = np.linspace(0, 1, 8)
    values = np.stack([ramp, 100 * ramp, 0 * ramp])

    found = equal_bins(values, 4, torch.zeros(3), torch.tensor([1.0, 100.0, 0.0]))

    assert found.tolist() == [[0, 0, 1, 1, 2, 2, 3, 3]] * 2 + [[0] * 8]


def test_quantile_bins_hold_equally_many_different_values():
    values = np.random.default_rng(0).standard_normal((3, 100, 6))

    bins = quantile_bins(values, 30)

    for run in bins:
        assert torch.bincount(run.flatten()).tolist() == [20] * 30


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=60), st.integers(1, 9))
def test_quantile_bins_keep_order_and_join_what_is_equal(values, n_bins):
    ordered = np.sort(np.array([values], dtype=float))

    bins = quantile_bins(ordered, n_bins).numpy()[0]

    assert 0 <= bins.min() <= bins.max() < n_bins
    assert np.all(np.diff(bins) >= 0)
    assert np.all(np.diff(bins)[np.diff(ordered[0]) == 0] == 0)


@given(st.integers(0, 2**32 - 1), st.integers(2, 9))
def test_quantile_bins_see_only_the_order(seed, n_bins):
    values = np.random.default_rng(seed).standard_normal((2, 40))

    assert torch.equal(quantile_bins(values, n_bins), quantile_bins(np.exp(values), n_bins))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_have_no_bin_are_refused(bad):
    with pytest.raises(ValueError, match="NaN or infinite"):
        equal_bins(np.array([bad]), 3, -1, 1)
    with pytest.raises(ValueError, match="NaN or infinite"):
        quantile_bins(np.array([[bad]]), 3)


def test_bins_need_a_number_and_ascending_limits():
    with pytest.raises(ValueError, match="at least one bin, got 0"):
        quantile_bins(np.zeros((1, 3)), 0)
    with pytest.raises(ValueError, match=r"ascending and finite limits, got 1\.0 and -1\.0"):
        equal_bins(np.zeros(3), 3, 1.0, -1.0)


def test_no_values_have_no_bins():
    assert quantile_bins(np.zeros((2, 0, 4)), 3).shape == (2, 0, 4)
