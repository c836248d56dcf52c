import math

import numpy as np
import pytest
import torch
from scipy.special import digamma

from deep_bottleneck.information.corrections import (
    corrected_entropy,
    count_terms,
    entropy_offset,
    sample_coverage,
)
from deep_bottleneck.information.discrete import Counts, count_keys, entropy

CORRECTIONS = ["miller-madow", "grassberger", "chao-shen"]


def as_counts(*counts: int) -> Counts:
    return Counts(torch.tensor(counts), torch.tensor([len(counts)]), sum(counts))


def test_without_a_correction_it_is_the_plug_in_entropy():
    counts = count_keys(torch.randint(0, 20, (4, 300)))

    assert torch.allclose(corrected_entropy(counts), entropy(counts))


def test_coverage_is_one_minus_the_share_of_singletons():
    assert sample_coverage(as_counts(5, 3, 1, 1)).item() == pytest.approx(0.8)
    assert sample_coverage(as_counts(1, 1, 1)).item() == 0.0
    assert sample_coverage(as_counts(4)).item() == 1.0


def test_miller_madow_adds_half_a_nat_for_each_state_but_one():
    counts = count_keys(torch.randint(0, 20, (4, 300)))

    added = corrected_entropy(counts, "miller-madow") - entropy(counts)

    expected = (counts.n_distinct - 1) / (2 * 300 * math.log(2))
    assert torch.allclose(added, expected.double())


def test_grassberger_s_terms():
    terms = count_terms(6, "grassberger")

    # G(1) = -gamma - ln 2, G(2) = G(3) = 2 - gamma - ln 2, G(n + 2) = G(n) + 2 / (n + 1), n even
    first = digamma(1) - math.log(2)
    expected = [0, first, first + 2, first + 2, first + 2 + 2 / 3, first + 2 + 2 / 3]
    expected.append(expected[-1] + 2 / 5)
    assert terms.numpy() == pytest.approx(np.arange(7) * expected / math.log(2))


def test_chao_shen_is_the_sum_written_out():
    counts, n_samples = (5, 3, 1, 1), 10
    scaled = [0.8 * count / n_samples for count in counts]
    expected = sum(-q * math.log2(q) / (1 - (1 - q) ** n_samples) for q in scaled)

    assert corrected_entropy(as_counts(*counts), "chao-shen").item() == pytest.approx(expected)


def test_chao_shen_of_singletons_only_is_finite_and_above_the_plain_entropy():
    singletons = as_counts(*[1] * 20)

    assert math.log2(20) < corrected_entropy(singletons, "chao-shen").item() < math.inf


@pytest.mark.parametrize("correction", [None, "miller-madow", "chao-shen"])
@pytest.mark.parametrize("n_samples", [1, 9])
def test_a_source_that_never_changes_has_no_entropy(correction, n_samples):
    constant = as_counts(n_samples)

    assert corrected_entropy(constant, correction).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("correction", "bias"), [("miller-madow", 0.04), ("grassberger", 0.02)])
def test_a_correction_takes_the_bias_of_few_samples_away(correction, bias):
    generator = np.random.default_rng(0)
    counts = count_keys(generator.integers(0, 32, (3_000, 100)))

    assert entropy(counts).mean().item() == pytest.approx(5 - 0.23, abs=0.02)
    assert corrected_entropy(counts, correction).mean().item() == pytest.approx(5, abs=bias)


def test_only_chao_shen_sees_a_source_of_more_states_than_samples():
    few = count_keys(np.random.default_rng(0).integers(0, 1024, (20, 512)))

    plain, mended, covered = (
        corrected_entropy(few, correction).mean().item()
        for correction in (None, "miller-madow", "chao-shen")
    )

    assert plain < mended < 10
    assert abs(covered - 10) < 0.2 < 10 - plain


@pytest.mark.parametrize("correction", CORRECTIONS)
def test_corrections_vanish_where_samples_are_many(correction):
    many = count_keys(np.random.default_rng(0).integers(0, 1024, (2, 200_000)))

    assert corrected_entropy(many, correction).numpy() == pytest.approx(10, abs=0.01)


@pytest.mark.parametrize("correction", CORRECTIONS)
def test_a_batch_of_problems_is_each_problem_alone(correction):
    keys = np.random.default_rng(1).integers(0, 30, (4, 60))
    rows = [count_keys(row[np.newaxis]) for row in keys]

    together = corrected_entropy(count_keys(keys), correction)

    torch.testing.assert_close(
        together, torch.cat([corrected_entropy(r, correction) for r in rows])
    )
    torch.testing.assert_close(
        sample_coverage(count_keys(keys)), torch.cat([sample_coverage(r) for r in rows])
    )


def test_no_samples_count_as_one():
    assert entropy_offset(torch.tensor([0, 1, 8])).tolist() == [0, 0, 3]


def test_unknown_corrections_are_refused():
    with pytest.raises(ValueError, match="one of miller-madow, grassberger, chao-shen, got 'chao'"):
        corrected_entropy(as_counts(1), "chao")
    with pytest.raises(
        ValueError, match="None or one of miller-madow, grassberger, got 'chao-shen'"
    ):
        count_terms(5, "chao-shen")
