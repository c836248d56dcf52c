import math

import numpy as np
import pytest
import torch

from deep_bottleneck.information.corrections import chao_shen, miller_madow, sample_coverage
from deep_bottleneck.information.discrete import Counts, count_keys
from deep_bottleneck.information.renyi import renyi_entropy


def as_counts(*counts: int) -> Counts:
    return Counts(torch.tensor(counts), torch.tensor([len(counts)]), sum(counts))


def test_coverage_is_one_minus_the_share_of_singletons():
    assert sample_coverage(as_counts(5, 3, 1, 1)).item() == pytest.approx(0.8)
    assert sample_coverage(as_counts(1, 1, 1)).item() == 0.0
    assert sample_coverage(as_counts(4)).item() == 1.0


def test_miller_madow_adds_states_minus_one_over_twice_the_sample_in_nats():
    plain = renyi_entropy(as_counts(4, 4)).item()

    assert miller_madow(as_counts(4, 4)).item() == pytest.approx(plain + 1 / 16 / math.log(2))


def test_chao_shen_is_the_sum_written_out():
    counts, n_samples = (5, 3, 1, 1), 10
    scaled = [0.8 * count / n_samples for count in counts]
    expected = sum(-q * math.log2(q) / (1 - (1 - q) ** n_samples) for q in scaled)

    assert chao_shen(as_counts(*counts)).item() == pytest.approx(expected)


def test_chao_shen_of_singletons_only_is_finite_and_above_the_plain_entropy():
    assert math.log2(20) < chao_shen(as_counts(*[1] * 20)).item() < math.inf


@pytest.mark.parametrize("estimate", [renyi_entropy, miller_madow, chao_shen])
def test_a_source_that_never_changes_has_no_entropy(estimate):
    assert estimate(as_counts(1)).item() == pytest.approx(0)
    assert estimate(as_counts(9)).item() == pytest.approx(0)


def test_both_are_nearer_to_the_truth_than_the_plain_entropy_and_agree_with_it_in_the_limit():
    generator = np.random.default_rng(0)
    few = count_keys(generator.integers(0, 1024, (20, 512)))
    many = count_keys(generator.integers(0, 1024, (2, 200_000)))

    plain, mended, covered = (
        f(few).mean().item() for f in (renyi_entropy, miller_madow, chao_shen)
    )
    assert plain < mended < 10
    assert abs(covered - 10) < 0.2 < 10 - plain
    for estimate in (renyi_entropy, miller_madow, chao_shen):
        assert estimate(many).numpy() == pytest.approx(10, abs=0.01)


@pytest.mark.parametrize("estimate", [sample_coverage, miller_madow, chao_shen])
def test_a_batch_of_problems_is_each_problem_alone(estimate):
    keys = np.random.default_rng(1).integers(0, 30, (4, 60))
    alone = torch.cat([estimate(count_keys(row[np.newaxis])) for row in keys])

    torch.testing.assert_close(estimate(count_keys(keys)), alone)
