import numpy as np
import pytest
import scipy.stats

from deep_bottleneck.datasets import harmonics
from deep_bottleneck.errors import ConfigError, EstimationError
from deep_bottleneck.information.neighbors import ksg, label_information
from deep_bottleneck.interfaces import LabelledDataset
from deep_bottleneck.measuring.estimation import estimate
from deep_bottleneck.mi_estimator import kraskov


class Recording:
    """One epoch of one network with two random tanh layers."""

    epochs = (0,)
    n_layers = 2
    layer_names = ("first", "second")

    def __init__(self, examples, labels):
        part = LabelledDataset.from_labels(examples, labels, 2)
        self.examples, self.labels = part.examples, part.labels

    def runs(self, epoch):
        return np.array([0])

    def layer(self, epoch, layer):
        weights = np.random.default_rng(layer).standard_normal((self.examples.shape[1], 5))
        return np.tanh(0.3 * self.examples @ weights)[None].astype(np.float32)


class Silent:
    def advance(self, steps=1, **values):
        pass


@pytest.fixture
def gaussian():
    examples = np.random.default_rng(9).standard_normal((400, 3))
    return Recording(examples, examples.sum(axis=1) > 0)


@pytest.fixture
def binary():
    order = np.random.default_rng(0).permutation(4096)[:1000]
    return Recording(harmonics.patterns()[order], harmonics.labels()[order])


def z_scores(values):
    return scipy.stats.zscore(values.astype(np.float64), axis=1)


@pytest.mark.parametrize("distances", ["standardised", "raw"])
@pytest.mark.parametrize("algorithm", [1, 2])
def test_both_informations_are_those_of_the_papers(gaussian, algorithm, distances):
    estimator = kraskov.load(4.0, algorithm, distances=distances).fitted(gaussian)
    layer = gaussian.layer(0, 0)

    information = estimator.estimate(layer, gaussian.labels)

    as_they_are = distances == "raw"
    inputs = gaussian.examples[None] if as_they_are else z_scores(gaussian.examples[None])
    points = layer if as_they_are else z_scores(layer)
    about_input = ksg(inputs, points, 4, algorithm).numpy()
    about_label = label_information(points, gaussian.labels, 4).numpy()
    assert information.mi_xm == pytest.approx(about_input, abs=0 if as_they_are else 1e-9)
    assert information.mi_ym == pytest.approx(about_label, abs=0 if as_they_are else 1e-9)
    assert information.mi_xm < information.ceiling
    assert not information.reasons


def test_binary_inputs_have_no_density_but_the_layer_tells_about_the_label(binary, caplog):
    table = estimate(kraskov.load(3, distances="raw"), binary, "full", Silent())

    assert table["MI_XM"].isna().all()
    assert table["MI_YM"].between(0.1, 1).all()
    assert (table["parameter"] == "k 3").all()
    (record,) = caplog.records
    assert "layer 0: I(X;M): the input has no continuous values" in record.message


def test_what_is_discrete_stays_so_when_it_is_standardised(binary):
    information = kraskov.load(3).fitted(binary).estimate(binary.layer(0, 0), binary.labels)

    assert np.isnan(information.mi_xm).all()
    assert "the input has no continuous values" in information.reasons[0]


def test_jitter_is_named_and_gives_an_answer(binary):
    estimator = kraskov.load(3, jitter=1e-3).fitted(binary)

    information = estimator.estimate(binary.layer(0, 0), binary.labels)

    assert np.isfinite(information.mi_xm).all()
    assert str(estimator.method) == "kraskov, k 3, jitter 0.001, standardised"


def test_jitter_of_input_and_layer_is_independent():
    zeros = np.zeros((500, 2), np.float32)
    estimator = kraskov.load(3, jitter=0.1).fitted(Recording(zeros, np.arange(500) % 2))

    information = estimator.estimate(zeros[None], np.arange(500) % 2)

    assert information.mi_xm == pytest.approx(0, abs=0.15)


def test_a_run_with_dead_units_leaves_the_others_their_values(gaussian):
    alive = gaussian.layer(0, 0)
    layers = np.concatenate([alive, np.zeros_like(alive), gaussian.layer(0, 1)])

    information = kraskov.load(3).fitted(gaussian).estimate(layers, gaussian.labels)

    assert np.isnan(information.mi_xm).tolist() == [False, True, False]
    assert np.isnan(information.mi_ym).tolist() == [False, True, False]
    assert len(information.reasons) == 2


def test_a_single_class_leaves_the_information_about_the_input(gaussian):
    labels = np.zeros(400, np.int64)

    information = kraskov.load(3).fitted(gaussian).estimate(gaussian.layer(0, 0), labels)

    assert np.isfinite(information.mi_xm).all()
    assert np.isnan(information.mi_ym).all()
    assert "I(Y;M): all 400 examples are of class 0" in information.reasons[0]


def test_k_above_the_number_of_examples_is_an_estimation_error(gaussian):
    estimator = kraskov.load(400).fitted(gaussian)

    with pytest.raises(EstimationError, match="less than the number of examples, 400, got 400"):
        estimator.estimate(gaussian.layer(0, 0), gaussian.labels)


def test_without_a_recording_only_the_label_is_answered(gaussian):
    information = kraskov.load(3).estimate(gaussian.layer(0, 0), gaussian.labels)

    assert np.isnan(information.mi_xm).all()
    assert np.isfinite(information.mi_ym).all()
    assert "fitted() with a recording" in information.reasons[0]


@pytest.mark.parametrize("algorithm", [1, 2])
@pytest.mark.parametrize("scale", [1.0, 1000.0, 1e-3, 1e5])
def test_units_of_measurement_do_not_matter(algorithm, scale):
    """Of a Gaussian pair with correlation r, I = -log2(1 - r^2) / 2 (Cover & Thomas, sec. 8.5)."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal((2000, 1))
    m = 0.9 * x + np.sqrt(1 - 0.9**2) * generator.standard_normal((2000, 1))
    labels = (x[:, 0] > 0).astype(np.int64)
    recording = Recording(scale * x, labels)

    inputs_scaled = kraskov.load(3, algorithm).fitted(recording).estimate(m[None], labels)
    both_scaled = kraskov.load(3, algorithm).fitted(recording).estimate(scale * m[None], labels)

    truth = -0.5 * np.log2(1 - 0.9**2)
    assert inputs_scaled.mi_xm == pytest.approx(truth, abs=0.1)
    assert both_scaled.mi_xm == pytest.approx(truth, abs=0.1)
    assert both_scaled.mi_ym == pytest.approx(inputs_scaled.mi_ym, abs=1e-6)


def test_raw_distances_see_the_larger_unit_alone():
    generator = np.random.default_rng(0)
    x = generator.standard_normal((2000, 1))
    m = 0.9 * x + np.sqrt(1 - 0.9**2) * generator.standard_normal((2000, 1))
    recording = Recording(1000 * x, (x[:, 0] > 0).astype(np.int64))

    raw = kraskov.load(3, distances="raw").fitted(recording)

    assert raw.estimate(m[None], recording.labels).mi_xm < 0.5
    assert str(raw.method) == "kraskov, k 3"


def test_distances_are_standardised_or_raw():
    with pytest.raises(ValueError, match='"standardised" or "raw", got \'scaled\''):
        kraskov.load(3, distances="scaled")


def test_the_jitter_of_a_run_is_its_own():
    generator = np.random.default_rng(0)
    layers = generator.standard_normal((3, 300, 3)).astype(np.float32)
    recording = Recording(generator.standard_normal((300, 3)), np.arange(300) % 2)
    estimator = kraskov.load(3, jitter=1e-3).fitted(recording)

    together = estimator.estimate(layers, recording.labels)

    for run, layer in enumerate(layers):
        alone = estimator.estimate(layer[None], recording.labels)
        assert alone.mi_xm == together.mi_xm[run]
        assert alone.mi_ym == together.mi_ym[run]


@pytest.mark.parametrize("jitter", [-1.0, np.nan, np.inf])
def test_the_jitter_is_a_standard_deviation(jitter):
    with pytest.raises(ConfigError, match=r'as "jitter", .* which should be 0 or more'):
        kraskov.load(3, jitter=jitter)


@pytest.mark.parametrize("k", [0.07, 2.5, 0, -1, np.nan, np.inf])
def test_k_must_be_a_whole_number(k):
    with pytest.raises(ConfigError, match=r'"discretization_range" is .* whole number from 1'):
        kraskov.load(k)
