import re

import pytest

from deep_bottleneck.config import Config
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.measuring.estimators import estimator_plug_ins


def plug_in(*entry, **hyperparameters):
    config = Config.parse({"estimator": [list(entry)], **hyperparameters})
    (found,) = estimator_plug_ins(config).values()
    return found


def parameters(estimators):
    return {name: estimator.method.parameter for name, estimator in estimators.items()}


def test_an_estimator_is_loaded_with_its_own_parameter_and_options():
    estimator = plug_in("mi_estimator.kraskov", 4, {"algorithm": 2}).load({})

    assert (estimator.k, estimator.algorithm) == (4, 2)


def test_a_parameter_is_varied_by_factors():
    varied = plug_in("mi_estimator.upper", 0.1).varied({}, {"halved": 0.5, "doubled": 2.0})

    assert parameters(varied) == {"halved": "noise variance 0.05", "doubled": "noise variance 0.2"}


def test_a_whole_number_stays_one():
    varied = plug_in("mi_estimator.kraskov", 3).varied({}, {"halved": 0.5, "doubled": 2.0})

    assert [estimator.k for estimator in varied.values()] == [2, 6]


def test_a_parameter_that_the_estimator_refuses_or_has_already_is_left_out():
    factors = {"halved": 0.5, "doubled": 2.0}

    assert parameters(plug_in("mi_estimator.binning_adaptive", 2).varied({}, factors)) == {
        "doubled": "4 bins of equal mass"
    }
    assert parameters(plug_in("mi_estimator.kraskov", 1).varied({}, factors)) == {
        "doubled": "k 2, standardised"
    }


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (["mi_estimator.kraskov", 0.07], "needs a whole number from 1"),
        (["mi_estimator.kraskov", 3, {"algorithm": 7}], 'got 7 as "algorithm", which should be 1'),
        (["mi_estimator.kraskov", 3, {"jitter": "a"}], "which should be a valid number"),
        (["mi_estimator.kraskov", 3, {"jitter": -1}], "which should be 0 or more"),
        (["mi_estimator.renyi", 1, {"scaling": "silver"}], 'should be "absolute" or "silverman"'),
        (["mi_estimator.renyi", 1, {"alpha": -1}], "should be greater than 0"),
        (["mi_estimator.binning_global", 1], "a whole number of at least 2"),
        (["mi_estimator.exact", 1], 'set "quantize_bits"'),
    ],
)
def test_what_an_estimator_refuses_is_known_before_there_are_data(entry, sentence):
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        plug_in(*entry)


def test_an_estimator_without_a_parameter_is_not_varied():
    exact = plug_in("mi_estimator.exact", 1.0, quantize_bits=4)

    assert exact.varied({}, {"halved": 0.5}) == {}
