import math

import numpy as np
import pytest
import torch
from scipy.special import digamma

from deep_bottleneck.information.discrete import (
    corrected_entropy,
    count_keys,
    count_terms,
    entropy,
    entropy_offset,
)


def test_without_a_correction_it_is_the_plug_in_entropy():
    counts = count_keys(torch.randint(0, 20, (4, 300)))

    assert torch.allclose(corrected_entropy(counts), entropy(counts))


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


@pytest.mark.parametrize("correction, bias", [("miller-madow", 0.04), ("grassberger", 0.02)])
def test_a_correction_takes_the_bias_of_few_samples_away(correction, bias):
    torch.manual_seed(0)
    counts = count_keys(torch.randint(0, 32, (3_000, 100)))

    assert float(entropy(counts).mean()) == pytest.approx(5 - 0.23, abs=0.02)
    assert float(corrected_entropy(counts, correction).mean()) == pytest.approx(5, abs=bias)


def test_one_state_has_none_and_no_samples_count_as_one():
    counts = count_keys(torch.zeros(1, 50, dtype=torch.int64))

    assert float(corrected_entropy(counts, "miller-madow")) == pytest.approx(0, abs=1e-12)
    assert entropy_offset(torch.tensor([0, 1, 8])).tolist() == [0, 0, 3]


def test_unknown_corrections_are_refused():
    with pytest.raises(ValueError, match="None or one of miller-madow, grassberger, got 'chao'"):
        count_terms(5, "chao")
