import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from deep_bottleneck.information.discrete import Counts, count_keys, entropy
from deep_bottleneck.information.renyi import renyi_entropy

occurrences = st.lists(st.integers(1, 1000), min_size=1, max_size=20)


def as_counts(*problems: list[int]) -> Counts:
    flat = [count for problem in problems for count in problem]
    n_distinct = torch.tensor([len(problem) for problem in problems])
    return Counts(torch.tensor(flat), n_distinct, sum(problems[0]))


def test_a_uniform_source_has_the_same_entropy_at_every_order():
    for alpha in (0, 0.5, 1, 2, 50, math.inf):
        assert renyi_entropy(as_counts([7] * 8), alpha).item() == pytest.approx(3.0)


def test_collision_entropy_of_one_half_one_quarter_one_quarter():
    assert renyi_entropy(as_counts([2, 1, 1]), 2).item() == pytest.approx(-math.log2(6 / 16))


def test_shannon_hartley_and_min_entropy_are_the_orders_one_zero_and_infinity():
    counts = as_counts([2, 1, 1])

    assert renyi_entropy(counts, 1).item() == pytest.approx(1.5)
    assert renyi_entropy(counts, 0).item() == pytest.approx(math.log2(3))
    assert renyi_entropy(counts, math.inf).item() == pytest.approx(1.0)


@given(occurrences, st.floats(0, 40))
def test_it_is_the_formula(counts, alpha):
    p = np.array(counts) / sum(counts)
    if abs(alpha - 1) < 1e-3:
        expected = -(p * np.log2(p)).sum()
        assert renyi_entropy(as_counts(counts), alpha).item() == pytest.approx(expected, abs=0.02)
    else:
        expected = np.log2((p**alpha).sum()) / (1 - alpha)
        assert renyi_entropy(as_counts(counts), alpha).item() == pytest.approx(expected, abs=1e-8)


@given(occurrences)
def test_it_never_rises_with_the_order(counts):
    orders = [0, 0.3, 0.999, 1, 1.001, 2, 10, 1e3, 1e6, math.inf]
    entropies = [renyi_entropy(as_counts(counts), alpha).item() for alpha in orders]

    assert all(high >= low - 1e-9 for high, low in itertools.pairwise(entropies)), entropies


@pytest.mark.parametrize("alpha", [0, 0.5, 1, 2, math.inf])
def test_a_batch_of_problems_is_each_problem_alone(alpha):
    together = renyi_entropy(as_counts([5, 3], [8], [1, 1, 6]), alpha)
    alone = [renyi_entropy(as_counts(each), alpha).item() for each in ([5, 3], [8], [1, 1, 6])]

    assert together.tolist() == pytest.approx(alone)


def test_order_one_is_the_entropy_of_the_core():
    counts = count_keys(np.random.default_rng(0).integers(0, 50, (3, 500)))

    torch.testing.assert_close(renyi_entropy(counts), entropy(counts))


@pytest.mark.parametrize("alpha", [-0.1, math.nan])
def test_an_order_below_zero_is_refused(alpha):
    with pytest.raises(ValueError, match="must be 0 or above, got"):
        renyi_entropy(as_counts([1, 1]), alpha)
