import numpy as np
import pytest

from deep_bottleneck.errors import EstimationError
from deep_bottleneck.information.kernel import (
    kernel_information,
    kernel_label_information,
    rule_of_thumb_width,
)
from deep_bottleneck.mi_estimator import renyi


class Recording:
    examples = np.random.default_rng(0).standard_normal((120, 3)).astype(np.float32)


LABELS = (Recording.examples.sum(axis=1) > 0).astype(np.int64)
LAYER = np.tanh(Recording.examples @ np.random.default_rng(1).standard_normal((2, 3, 4)))


@pytest.mark.parametrize("alpha", [1.01, 2.0])
def test_both_informations_are_those_of_the_kernel_matrices(alpha):
    information = renyi.load(0.3, alpha).fitted(Recording()).estimate(LAYER, LABELS)

    about_input = kernel_information(Recording.examples[None], LAYER, (0.3, 0.3), alpha)
    about_label = kernel_label_information(LAYER, LABELS, 0.3, alpha)
    np.testing.assert_allclose(information.mi_xm, about_input, atol=1e-12)
    np.testing.assert_allclose(information.mi_ym, about_label, atol=1e-12)
    assert information.ceiling == np.log2(120)


def test_silvermans_rule_does_not_see_the_scale_of_a_layer():
    estimator = renyi.load(1.0, scaling="silverman").fitted(Recording())

    information = estimator.estimate(LAYER, LABELS)
    contracted = estimator.estimate(LAYER / 100, LABELS)

    np.testing.assert_allclose(contracted.mi_xm, information.mi_xm, atol=1e-6)
    of_inputs, of_layer = (
        rule_of_thumb_width(values) for values in (Recording.examples[None], LAYER)
    )
    expected = kernel_information(Recording.examples[None], LAYER, (of_inputs, of_layer), alpha=2.0)
    np.testing.assert_allclose(information.mi_xm, expected, atol=1e-12)


def test_an_absolute_width_sees_a_layer_contract():
    estimator = renyi.load(0.3).fitted(Recording())

    assert np.all(
        estimator.estimate(LAYER / 100, LABELS).mi_xm < estimator.estimate(LAYER, LABELS).mi_xm
    )


def test_a_constant_layer_has_no_rule_of_thumb():
    estimator = renyi.load(1.0, scaling="silverman").fitted(Recording())

    with pytest.raises(EstimationError, match="kernel width must be positive and finite, got 0"):
        estimator.estimate(np.ones_like(LAYER), LABELS)


def test_without_a_recording_only_the_label_is_answered():
    information = renyi.load(0.3).estimate(LAYER, LABELS)

    assert np.isnan(information.mi_xm).all()
    assert np.isfinite(information.mi_ym).all()
    assert "fitted() with a recording" in information.reasons[0]


def test_the_method_names_order_and_width():
    assert str(renyi.load(0.3).method) == "renyi, order 2, kernel width 0.3"
    named = str(renyi.load(5, 1.01, "silverman").method)
    assert named == "renyi, order 1.01, kernel width 5 x Silverman's rule"


def test_an_unknown_scaling_is_named():
    with pytest.raises(ValueError, match='"absolute" or "silverman", got \'auto\''):
        renyi.load(1.0, scaling="auto")
