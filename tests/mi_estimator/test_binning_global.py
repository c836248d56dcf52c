from types import SimpleNamespace

import numpy as np
import pytest
from recordings import Recording

from deep_bottleneck.errors import ConfigError, EstimationError
from deep_bottleneck.machine.progress import Progress
from deep_bottleneck.measuring.estimation import estimate
from deep_bottleneck.mi_estimator import binning, binning_global

LABELS = np.arange(64) % 2


def ramp(low, high, n_runs=1):
    """A single unit whose activations go from low to high, the same in all runs."""
    return np.repeat(np.linspace(low, high, 64, dtype=np.float32)[None, :, None], n_runs, axis=0)


def test_bins_span_a_layer_s_range_over_all_epochs():
    recording = Recording({0: [ramp(0, 1), ramp(0, 8)], 5: [ramp(0, 4), ramp(0, 8)]}, LABELS)
    fitted = binning_global.load(16).fitted(recording)

    early, late, other = (
        fitted.for_layer(layer).estimate(recording.layer(epoch, layer), LABELS).mi_xm.item()
        for epoch, layer in ((0, 0), (5, 0), (0, 1))
    )

    assert early == pytest.approx(2, abs=0.1)  # a quarter of the range
    assert late == other == pytest.approx(4)


def test_the_table_of_a_recording_uses_the_range_of_each_layer():
    layers = {0: [ramp(0, 1), ramp(0, 8)], 5: [ramp(0, 4), ramp(0, 8)]}
    recording = Recording(layers, LABELS, ramp(0, 1)[0])

    table = estimate(binning_global.load(16), recording, "test", Silent())

    assert table["MI_XM"].to_numpy() == pytest.approx([2, 4, 4, 4], abs=0.1)
    assert set(table["parameter"]) == {"16 bins over each layer's range"}


def test_a_run_that_diverged_leaves_the_range_of_the_others():
    diverged = np.concatenate([ramp(0, 4), np.full((1, 64, 1), np.nan, np.float32)])
    of_layer = binning_global.load(16).fitted(Recording({0: [diverged]}, LABELS)).for_layer(0)

    alone = of_layer.for_runs(np.array([0])).estimate(diverged[:1], LABELS)
    assert alone.mi_xm.item() == pytest.approx(4)
    with pytest.raises(EstimationError, match="cannot bin values that are NaN"):
        of_layer.estimate(diverged, LABELS)


@pytest.mark.parametrize("scale", [1, 10, 1e6])
def test_the_bins_of_a_run_are_its_own(scale):
    """Thirty bins from 0 to the largest activation of the run, by NumPy."""
    generator = np.random.default_rng(0)
    run = np.maximum(generator.standard_normal((1000, 3)), 0).astype(np.float32)
    layers = np.stack([run, scale * run[::-1]])
    labels = (run[:, 0] > 0.5).astype(np.int64)

    of_layer = binning_global.load(30).fitted(Recording({0: [layers]}, labels)).for_layer(0)
    found = of_layer.estimate(layers, labels).mi_xm

    bins = np.minimum((run / run.max() * 30).astype(int), 29)
    share = np.unique(bins, axis=0, return_counts=True)[1] / 1000
    assert found == pytest.approx(-np.sum(share * np.log2(share)), abs=0.01)


def test_runs_that_are_not_those_of_the_recording_are_said():
    recording = Recording({0: [ramp(0, 1, n_runs=3)]}, LABELS)
    fitted = binning_global.load(30).fitted(recording)

    with pytest.raises(EstimationError, match=r"2 runs and the range of 3: call for_runs\(runs\)"):
        fitted.for_layer(0).estimate(ramp(0, 1, n_runs=2), LABELS)


def test_for_tanh_thirty_bins_are_tishby_s_on_minus_one_to_one():
    activations = np.tanh(np.random.default_rng(0).standard_normal((2, 64, 3)), dtype=np.float32)
    edges = np.linspace(-1, 1, 31)

    estimator = binning_global.load(30, activation_fn="tanh")
    found = estimator.estimate(activations, LABELS)

    as_bins = np.digitize(activations, edges).astype(np.float32)
    expected = binning.load(1.0).estimate(as_bins, LABELS)
    assert found.mi_xm == pytest.approx(expected.mi_xm)
    assert found.mi_ym == pytest.approx(expected.mi_ym)
    assert str(estimator.method) == "binning (global), 30 bins on [-1, 1]"


def test_for_tanh_no_recording_is_needed_and_for_others_it_is():
    assert binning_global.load(30, "tanh").for_layer(3).estimate(ramp(-1, 1), LABELS)
    with pytest.raises(EstimationError, match=r"need all epochs: call fitted\(recording\) first"):
        binning_global.load(30, "relu").for_layer(0)


def test_a_recording_without_epochs_is_no_mistake():
    nothing_yet = SimpleNamespace(epochs=(), n_layers=2)

    assert len(binning_global.load(30).fitted(nothing_yet).limits) == 2


@pytest.mark.parametrize("bad", [0.07, 30.5, 1])
def test_the_number_of_bins_is_a_whole_number(bad):
    with pytest.raises(ConfigError, match=rf'"discretization_range" is {bad} but .*such as 30'):
        binning_global.load(bad)


class Silent(Progress):
    def __init__(self):
        pass

    def advance(self, steps=1, **values):
        pass
