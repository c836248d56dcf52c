import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import entropy as scipy_entropy
from sklearn.metrics import mutual_info_score

from deep_bottleneck.information import discrete

states = arrays.arrays(
    np.int64, st.tuples(st.integers(1, 40), st.integers(1, 4)), elements=st.integers(-3, 3)
)


def entropy_of_rows(rows: np.ndarray) -> float:
    _, counts = np.unique(rows, axis=0, return_counts=True)
    return float(scipy_entropy(counts, base=2))


def entropy(rows: np.ndarray) -> float:
    return discrete.entropy(discrete.count_keys(discrete.row_keys(rows)[None])).item()


@given(states)
def test_entropy_equals_scipys_of_the_counts_of_unique_rows(rows):
    assert entropy(rows) == pytest.approx(entropy_of_rows(rows), abs=1e-12)


@given(
    arrays.arrays(
        np.int64, st.tuples(st.integers(1, 4), st.integers(1, 40)), elements=st.integers(0, 9)
    )
)
def test_the_entropy_of_keys_is_that_of_their_counts(keys):
    expected = discrete.entropy(discrete.count_keys(keys))

    torch.testing.assert_close(discrete.entropy_of_keys(keys), expected)


@pytest.mark.parametrize("n_samples", [2**16, 2**16 + 1])
def test_the_entropy_of_many_samples_needs_no_table(n_samples):
    keys = np.arange(n_samples) % 8

    assert discrete.entropy_of_keys(keys[None]).item() == pytest.approx(3, abs=1e-6)
    assert discrete.entropy(discrete.count_keys(keys[None])).item() == pytest.approx(3, abs=1e-6)


@given(states, st.integers(1, 4), st.randoms())
def test_mutual_information_equals_scikit_learns(rows, n_classes, random):
    labels = np.array([random.randrange(n_classes) for _ in rows])
    _, states_by_row = np.unique(rows, axis=0, return_inverse=True)

    h, mi = discrete.mutual_information(discrete.row_keys(rows)[None], labels)

    assert h.item() == pytest.approx(entropy_of_rows(rows), abs=1e-12)
    expected = mutual_info_score(labels, states_by_row.ravel()) / np.log(2)
    assert mi.item() == pytest.approx(expected, abs=1e-9)


@given(states, st.randoms())
def test_entropy_is_the_same_in_any_order_of_samples_and_neurons(rows, random):
    shuffled = rows[random.sample(range(len(rows)), len(rows))]
    shuffled = shuffled[:, random.sample(range(rows.shape[1]), rows.shape[1])]

    assert entropy(shuffled) == pytest.approx(entropy(rows), abs=1e-12)


@given(states)
def test_relabelling_states_changes_nothing(rows):
    assert entropy(7 - 3 * rows) == pytest.approx(entropy(rows), abs=1e-12)


def test_a_batch_of_runs_equals_run_by_run():
    generator = np.random.default_rng(0)
    activations = generator.standard_normal((4, 200, 3)).astype(np.float32)
    labels = generator.integers(0, 3, 200)
    keys = discrete.row_keys(discrete.bin_indices(activations, 0.5))

    together = torch.stack(discrete.mutual_information(keys, labels))

    for run in range(4):
        alone = torch.stack(discrete.mutual_information(keys[run : run + 1], labels))
        torch.testing.assert_close(together[:, run : run + 1], alone)


def test_equal_frequencies_give_the_logarithm_of_their_number():
    assert entropy(np.arange(64)[:, None] % 8) == pytest.approx(3)


def test_the_state_that_is_the_label_tells_all_about_it():
    labels = np.array([0, 0, 1, 1, 2, 2, 3, 3])

    _, mi = discrete.mutual_information(discrete.row_keys(labels[:, None])[None], labels)

    assert mi.item() == pytest.approx(2)


def test_bins_are_closed_below():
    assert discrete.bin_indices(np.array([-0.5, -0.1, 0.0, 0.49, 0.5]), 0.5).tolist() == [
        -1,
        -1,
        0,
        0,
        1,
    ]


def test_keys_of_many_different_rows_differ():
    rows = np.stack(np.meshgrid(*[np.arange(20)] * 4), axis=-1).reshape(-1, 4)

    assert len(torch.unique(discrete.row_keys(rows))) == len(rows)


@given(states)
def test_keys_of_two_parts_add_up_to_the_key_of_the_row(rows):
    left, right = rows[:, :1], rows[:, 1:]

    both = discrete.row_keys(left) + discrete.row_keys(right, first_column=1)

    assert torch.equal(both, discrete.row_keys(rows))


@given(states)
def test_group_sizes_are_how_often_each_row_occurs(rows):
    _, group, counts = np.unique(rows, axis=0, return_inverse=True, return_counts=True)

    sizes = discrete.group_sizes(discrete.row_keys(rows)[None])

    assert sizes.tolist() == [counts[group.ravel()].tolist()]


def test_groups_do_not_reach_beyond_their_problem():
    assert discrete.group_sizes(np.array([[1, 1, 2], [1, 2, 3]])).tolist() == [[2, 2, 1], [1, 1, 1]]
    with pytest.raises(ValueError, match="no samples"):
        discrete.group_sizes(np.zeros((2, 0), np.int64))


@given(states, st.integers(1, 4), st.randoms())
def test_relabelling_both_variables_changes_no_information(rows, n_classes, random):
    labels = np.array([random.randrange(n_classes) for _ in rows])

    _, before = discrete.mutual_information(discrete.row_keys(rows)[None], labels)
    _, after = discrete.mutual_information(discrete.row_keys(5 - 2 * rows)[None], 7 - labels)

    assert after.item() == pytest.approx(before.item(), abs=1e-9)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_values_that_have_no_bin_are_refused(bad):
    with pytest.raises(ValueError, match="cannot bin values"):
        discrete.bin_indices(np.array([0.0, bad]), 0.1)


def test_a_bin_needs_a_width():
    with pytest.raises(ValueError, match="must be positive, got 0"):
        discrete.bin_indices(np.array([1.0]), 0)


def test_no_samples_have_no_counts():
    with pytest.raises(ValueError, match="no samples"):
        discrete.count_keys(np.zeros((2, 0), np.int64))


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ([0, 1], "one label for each of 3 examples"),
        ([0, -1, 0], "labels from 0, got -1"),
        ([0.0, 1.0, 0.0], "integers as labels, got torch.float64"),
    ],
)
def test_labels_must_be_one_class_for_each_sample(labels, sentence):
    with pytest.raises(ValueError, match=sentence):
        discrete.mutual_information(np.zeros((1, 3), np.int64), np.array(labels))


@given(states, st.integers(1, 4), st.randoms())
def test_information_about_the_label_is_within_its_limits(rows, n_classes, random):
    labels = np.array([random.randrange(n_classes) for _ in rows])
    label_entropy = scipy_entropy(np.bincount(labels), base=2)

    h, mi = discrete.mutual_information(discrete.row_keys(rows)[None], labels)

    assert 0 <= mi.item() <= min(h.item(), label_entropy) + 1e-9


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, bool])
def test_rows_of_any_numbers_are_counted_as_numpy_does(dtype):
    rows = np.random.default_rng(0).integers(0, 2, (500, 4)).astype(dtype)

    found = discrete.count_rows(rows)

    _, counts = np.unique(rows, axis=0, return_counts=True)
    assert sorted(found.counts.tolist()) == sorted(counts.tolist())
    assert (found.n_distinct.tolist(), found.n_samples) == ([len(counts)], 500)


def test_a_zero_is_a_zero_whatever_its_sign():
    assert discrete.count_rows(np.array([[0.0], [-0.0]])).counts.tolist() == [2]


def test_rows_of_no_samples_are_not_counted():
    with pytest.raises(ValueError, match="no samples"):
        discrete.count_rows(np.zeros((0, 3)))
