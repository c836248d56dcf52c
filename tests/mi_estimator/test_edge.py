import numpy as np
import pytest
from recordings import Recording, of_layer

from deep_bottleneck.errors import EstimationError
from deep_bottleneck.mi_estimator import edge, edge_published


def network(n_examples=1024):
    """Binary inputs, a layer of two runs that adds some of them, and the label, also a sum."""
    generator = np.random.default_rng(0)
    examples = generator.integers(0, 2, (n_examples, 10)).astype(np.float32)
    labels = (examples[:, :5].sum(axis=1) > 2).astype(np.int64)
    sums = [examples[:, :5].sum(axis=1), examples[:, 5:].sum(axis=1)]
    return examples, np.stack(sums)[..., None], labels


@pytest.mark.parametrize("load", [edge.load, edge_published.load])
def test_the_inputs_must_be_known(load):
    _, activations, labels = network()

    with pytest.raises(EstimationError, match=r"needs them: call fitted\(recording\) first"):
        load(1.0).estimate(activations, labels)


def test_a_layer_that_sums_for_the_label_knows_it_and_the_other_does_not():
    examples, activations, labels = network()
    fitted = edge.load(1.0).fitted(Recording(examples=examples))

    information = fitted.estimate(activations, labels)

    assert information.mi_ym[0] > 0.9
    assert information.mi_ym[1] == pytest.approx(0, abs=0.02)
    assert np.all(information.mi_xm > 0.1)


def test_a_layer_that_ignores_the_inputs_knows_nothing_of_them():
    examples, _, labels = network()
    noise = np.random.default_rng(1).standard_normal((2, 1024, 10)).astype(np.float32)

    calibrated, published = (
        load(1.0).fitted(Recording(examples=examples)).estimate(noise, labels)
        for load in (edge.load, edge_published.load)
    )

    assert calibrated.mi_xm == pytest.approx(0, abs=0.02)
    assert np.all(published.mi_xm > 5)


def test_the_published_bound_is_the_ceiling():
    examples, activations, labels = network(4096)

    published = edge_published.load(1.0).fitted(Recording(examples=examples))
    calibrated = edge.load(1.0).fitted(Recording(examples=examples))

    assert published.estimate(activations, labels).ceiling == 10
    assert calibrated.estimate(activations, labels).ceiling == 12


def test_the_parameter_multiplies_the_automatic_bandwidth():
    x = np.random.default_rng(0).standard_normal((1, 2000, 1)).astype(np.float32)
    labels = np.arange(2000) % 2
    recording = of_layer(x, labels)

    coarse, fine = (
        edge.load(factor).fitted(recording).estimate(x, labels).mi_xm.item() for factor in (1, 0.5)
    )

    assert fine - coarse == pytest.approx(1, abs=0.1)
    assert str(edge.load(0.5).method) == "edge, bandwidth 0.5 x automatic"


def test_inputs_that_are_not_finite_are_an_estimation_error():
    with pytest.raises(EstimationError, match="the inputs: cannot hash values that are NaN"):
        edge.load(1.0).fitted(Recording(examples=np.full((3, 2), np.nan, np.float32)))


def test_inputs_of_other_examples_are_an_estimation_error():
    examples, activations, labels = network()
    fitted = edge.load(1.0).fitted(Recording(examples=examples[:-1]))

    with pytest.raises(EstimationError, match="got 1023 and 1024"):
        fitted.estimate(activations, labels)
