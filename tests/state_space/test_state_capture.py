import logging
import math

import numpy as np
import pytest
import torch

import deep_bottleneck.state_space as ts
from deep_bottleneck.errors import EstimationError


@pytest.fixture
def capture() -> ts.StateCaptureHook:
    """All four states of two neurons, in the proportions 4:2:1:1."""
    capture = ts.StateCaptureHook("hidden")
    rows = [[-1, -1]] * 4 + [[1, -1]] * 2 + [[-1, 1], [1, 1]]
    capture.record(torch.tensor(rows))
    return capture


def test_it_tells_what_it_saw(capture):
    assert capture.state_count == 8
    assert capture.counts().tolist() == [4, 2, 1, 1]
    assert capture.state_ids() == [b"\x00", b"\x01", b"\x02", b"\x03"]
    assert capture.states.tolist() == [[False, False], [True, False], [False, True], [True, True]]


def test_entropy_and_efficiency_of_known_proportions(capture):
    assert capture.max_entropy() == 2.0
    assert capture.entropy() == pytest.approx(1.75)
    assert capture.entropy(0) == pytest.approx(2.0)
    assert capture.entropy(math.inf) == pytest.approx(1.0)
    assert capture.entropy(None) == 2.0
    assert capture.efficiency() == pytest.approx(0.875)
    assert capture.efficiency(2) == pytest.approx(-math.log2(22 / 64) / 2)
    assert capture.efficiency(alpha1=2, alpha2=0) == pytest.approx(-math.log2(22 / 64) / 2)


def test_what_counts_returns_is_the_callers_own(capture):
    capture.counts()[:] = 0

    assert capture.counts().sum() == 8


def test_a_reset_forgets_and_takes_another_width(capture):
    capture.reset_states()
    assert capture.state_count == 0
    capture.record(torch.ones(3, 5))
    assert (capture.state_count, capture.max_entropy()) == (3, 5.0)


def test_state_ids_are_bytes_with_the_first_neuron_lowest():
    capture = ts.StateCaptureHook("wide")
    capture.record(torch.eye(10)[[0, 9]])

    assert sorted(capture.state_ids()) == [b"\x00\x02", b"\x01\x00"]


def test_few_observations_of_a_wide_layer_are_called_under_sampled(caplog):
    capture = ts.StateCaptureHook("wide")
    capture.record(torch.randn(256, 100, generator=torch.Generator().manual_seed(0)))

    with caplog.at_level(logging.WARNING):
        plain = capture.efficiency()
        capture.efficiency()

    assert plain == pytest.approx(8 / 100)  # log2 of the number of observations
    assert capture.coverage == 0.0
    assert capture.undersampled
    assert len(caplog.records) == 1
    assert "wide is under-sampled" in caplog.text


def test_corrections_tell_more_than_the_sample_size():
    generator = np.random.default_rng(0)
    capture = ts.StateCaptureHook("hidden")
    capture.record(generator.choice([-1.0, 1.0], (300, 10)))

    plain = capture.efficiency()
    assert plain < capture.efficiency(correction="miller_madow") < 1
    assert capture.efficiency(correction="chao_shen") == pytest.approx(1, abs=0.05)


def test_many_observations_of_a_narrow_layer_are_enough(caplog):
    capture = ts.StateCaptureHook("narrow")
    capture.record(torch.randn(5000, 4, generator=torch.Generator().manual_seed(0)))

    assert not capture.undersampled
    assert capture.efficiency() == pytest.approx(1, abs=0.01)
    assert not caplog.records


def test_a_corrected_entropy_stays_within_the_number_of_neurons():
    capture = ts.StateCaptureHook("narrow")
    capture.record(torch.tensor([[1.0, -1], [-1, 1], [1, 1], [-1, -1]]))

    assert capture.entropy(correction="chao_shen") == 2.0


@pytest.mark.parametrize(
    "question",
    [
        lambda capture: capture.entropy(),
        lambda capture: capture.efficiency(),
        lambda capture: capture.counts(),
        lambda capture: capture.state_ids(),
        lambda capture: capture.max_entropy(),
        lambda capture: capture.undersampled,
        lambda capture: capture.raw_states,
    ],
)
def test_nothing_can_be_asked_before_anything_was_captured(question):
    with pytest.raises(EstimationError, match="conv_1_post_states has captured no states yet"):
        question(ts.StateCaptureHook("conv_1_post_states"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alpha1": -1}, "must be 0 or above, got -1"),
        ({"alpha1": 1, "alpha2": 1}, "alpha1 must be above alpha2, got 1 and 1"),
        ({"correction": "jackknife"}, "expected one of .'chao_shen', 'miller_madow'. or None"),
        ({"alpha1": 2, "correction": "chao_shen"}, "for the Shannon entropy, of order 1"),
    ],
)
def test_wrong_arguments_are_named(capture, arguments, message):
    with pytest.raises(ValueError, match=message):
        capture.efficiency(**arguments)


def test_relative_to_an_entropy_of_zero_there_is_no_efficiency():
    capture = ts.StateCaptureHook("stuck")
    capture.record(torch.ones(5, 3))

    assert capture.efficiency() == 0.0
    with pytest.raises(EstimationError, match="stuck relative to its entropy of order 0"):
        capture.efficiency(alpha1=1, alpha2=0)


@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        (torch.ones(4, 3), ValueError, "hidden captured states of 2 neurons and now got 3"),
        ((torch.ones(2, 2),) * 2, TypeError, "hidden can capture one tensor, got tuple"),
        (None, TypeError, "got NoneType"),
        (torch.ones(4), ValueError, r"expects a batch of shape .* got shape \(4,\)"),
        (torch.ones(4, 0), ValueError, r"got shape \(4, 0\)"),
        (torch.ones(4, 2, dtype=torch.complex64), TypeError, "complex"),
    ],
)
def test_a_bad_batch_is_named_and_what_was_captured_stays(capture, batch, error, message):
    with pytest.raises(error, match=message):
        capture.record(batch)

    assert capture.counts().tolist() == [4, 2, 1, 1]


@pytest.mark.parametrize(
    "question",
    [
        lambda capture: capture.entropy(),
        lambda capture: capture.entropy(correction="miller_madow"),
        lambda capture: capture.efficiency(),
        lambda capture: capture.efficiency(2, 0),
    ],
)
def test_activations_that_are_nan_leave_the_entropy_undefined_until_a_reset(capture, question):
    capture.record(torch.tensor([[1.0, math.nan]]))
    capture.record(torch.ones(4, 2))
    with pytest.raises(EstimationError, match="entropy of hidden is not defined: some of its act"):
        question(capture)

    capture.reset_states()
    capture.record(torch.ones(4, 2))
    assert capture.entropy() == 0


def test_raw_states_need_a_path(capture):
    with pytest.raises(EstimationError, match="keeps counts only: give it a path on disk"):
        _ = capture.raw_states


def test_an_empty_batch_is_no_observation(capture):
    capture.record(torch.ones(0, 2))

    assert capture.state_count == 8
