import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_mutual_info_score, mutual_info_score

from deep_bottleneck.causal import MI, nats_to_bits
from deep_bottleneck.causal.injection.contingency import mutual_information


def test_plug_in_is_that_of_scikit_learn():
    counts = torch.randint(0, 9, (5, 4, 6, 7))

    information = mutual_information(counts)

    for index in np.ndindex(5, 4):
        nats = mutual_info_score(None, None, contingency=counts[index].numpy())
        assert float(information[index]) == pytest.approx(nats / np.log(2), abs=1e-12)


@pytest.mark.parametrize("correction", ["miller-madow", "grassberger"])
def test_corrections_take_the_bias_of_independent_variables_away(correction):
    x = torch.rand(400, 2_000)
    y = torch.rand(400, 2_000)
    keys = (x * 8).long() * 8 + (y * 8).long()
    counts = torch.stack([torch.bincount(row, minlength=64) for row in keys]).view(-1, 8, 8)

    biased = mutual_information(counts).mean()
    corrected = mutual_information(counts, correction).mean()

    assert biased == pytest.approx(49 / (2 * 2_000 * np.log(2)), rel=0.05)
    assert abs(corrected) < 0.05 * biased


def test_shuffle_is_the_adjusted_mutual_information():
    labels, others = np.random.default_rng(0).integers(0, 5, (2, 3_000))
    others = np.where(np.arange(3_000) % 3 == 0, labels, others)

    def counts_of(first, second):
        return torch.from_numpy(np.histogram2d(first, second, bins=5)[0]).int()

    shuffled = counts_of(labels, np.roll(others, 1_500))
    information = mutual_information(counts_of(labels, others), "shuffle", shuffled)

    # scikit-learn divides by the smaller entropy, and knows what the shuffled counts estimate
    adjusted = adjusted_mutual_info_score(labels, others, average_method="min")
    entropy = np.log2(5)
    assert float(information) == pytest.approx(adjusted * entropy, abs=0.01)


def test_shuffle_leaves_a_one_to_one_relation_alone():
    counts = torch.diag(torch.full((8,), 10)).int()
    shuffled = torch.randint(0, 3, (8, 8)).int()

    assert float(mutual_information(counts, "shuffle", shuffled)) == pytest.approx(3.0)


def test_histograms_without_samples_have_no_information():
    assert mutual_information(torch.zeros(2, 3, 3, dtype=torch.int32)).tolist() == [0.0, 0.0]


def test_information_of_two_series():
    x = torch.rand(4_000)
    y = (x + torch.rand(4_000)) / 2

    counts = np.histogram2d(x, y, bins=32, range=((0, 1), (0, 1)))[0]

    expected = nats_to_bits(mutual_info_score(None, None, contingency=counts))
    assert MI(x, y) == pytest.approx(expected, abs=0.01)
    assert MI(x, x, bins=16) == pytest.approx(4.0, abs=0.01)
    assert MI(x, torch.full_like(x, 0.3)) == 0.0


@pytest.mark.parametrize("of_x", [True, False])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 5.0])
def test_samples_that_are_outside_or_nan_in_either_series_are_left_out(of_x, bad):
    good = np.random.default_rng(0).random(2_000)
    spoilt = np.where(np.arange(2_000) % 7, good, bad)
    series = (spoilt, good) if of_x else (good, spoilt)

    kept = good[np.arange(2_000) % 7 > 0]

    assert MI(*series) == pytest.approx(MI(kept, kept))
    assert MI(*series) > 4.9


def test_series_without_a_sample_inside_their_ranges_are_refused():
    with pytest.raises(ValueError, match=r"every sample is outside the ranges .* or NaN: pass wid"):
        MI(torch.full((3,), torch.nan), torch.zeros(3))


def test_series_must_match():
    with pytest.raises(ValueError, match=r"two series of the same length.*\(3,\) and \(4,\)"):
        MI(torch.zeros(3), torch.zeros(4))
