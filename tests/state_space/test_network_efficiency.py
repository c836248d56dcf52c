import math

import numpy as np
import pytest
import torch

import deep_bottleneck.state_space as ts


def test_the_network_has_the_geometric_mean_of_its_layers():
    assert ts.network_efficiency([0.25, 1.0]) == pytest.approx(0.5)
    assert ts.network_efficiency(np.full(3, 0.3)) == pytest.approx(0.3)
    assert ts.network_efficiency([0.0, 1.0]) == 0.0


def test_many_narrow_layers_do_not_underflow():
    assert ts.network_efficiency([1e-3] * 200) == pytest.approx(1e-3)


@pytest.mark.parametrize(
    ("efficiencies", "message"),
    [([], "at least one layer"), ([0.5, math.nan], "0 or above"), ([-0.1], "0 or above")],
)
def test_efficiencies_that_make_no_sense_are_refused(efficiencies, message):
    with pytest.raises(ValueError, match=message):
        ts.network_efficiency(efficiencies)


def test_aiq_weighs_accuracy_against_efficiency():
    assert ts.aIQ(0.25, 1.0, 1) == pytest.approx(0.5)
    assert ts.aIQ(0.3, 0.9, 2) == pytest.approx((0.9**2 * 0.3) ** (1 / 3))
    assert ts.aIQ(0.4, torch.tensor(0.4), 7.5) == pytest.approx(0.4)
    assert isinstance(ts.aIQ(np.float64(0.5), np.float32(0.5), 1), float)


@pytest.mark.parametrize("weight", [0, -1, math.nan, math.inf])
def test_a_weight_must_be_above_zero(weight):
    with pytest.raises(ValueError, match="weight of the accuracy in aIQ must be above 0, got"):
        ts.aIQ(0.5, 0.5, weight)


@pytest.mark.parametrize(("efficiency", "accuracy"), [(-0.1, 0.5), (0.5, math.nan)])
def test_aiq_needs_numbers_from_zero_to_one(efficiency, accuracy):
    with pytest.raises(ValueError, match="must be a number from 0 to 1"):
        ts.aIQ(efficiency, accuracy, 1)


@pytest.mark.parametrize("counts", [[2, 1, 1], np.array([2, 0, 1, 1]), torch.tensor([2.0, 1, 1])])
def test_entropy_of_counts_of_any_kind(counts):
    assert ts.entropy(counts) == pytest.approx(1.5)
    assert ts.entropy(counts, alpha=0) == pytest.approx(math.log2(3))
    assert ts.entropy(counts, alpha=math.inf) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("counts", "alpha", "message"),
    [
        ([], 1, "at least one"),
        ([0, 0], 1, "at least one"),
        ([3, -1], 1, "must not be negative"),
        ([0.5, 0.5], 1, "whole numbers"),
        ([1, 1], -2, "must be 0 or above"),
    ],
)
def test_entropy_of_nonsense_is_refused(counts, alpha, message):
    with pytest.raises(ValueError, match=message):
        ts.entropy(counts, alpha)
