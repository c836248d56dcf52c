from deep_bottleneck.config import Config
from deep_bottleneck.measurement import estimator_plug_ins


def plug_in(*entry):
    (found,) = estimator_plug_ins(Config.parse({"estimator": [list(entry)]})).values()
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


def test_an_estimator_without_a_parameter_is_not_varied():
    assert plug_in("mi_estimator.exact", 1.0).varied({}, {"halved": 0.5}) == {}
