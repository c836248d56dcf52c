import re
import sys

import numpy as np
import pandas as pd
import pytest

from deep_bottleneck.config import Config
from deep_bottleneck.errors import ConfigError, RecordError
from deep_bottleneck.measuring.estimation import counted_inputs
from deep_bottleneck.measuring.estimators import estimator_plug_ins
from deep_bottleneck.measuring.information_tables import InformationTables, Inputs


def plug_in(*entry, **hyperparameters):
    written = list(entry) if len(entry) > 1 else entry[0]
    config = Config.parse({"estimator": [written], **hyperparameters})
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


def test_without_a_parameter_an_estimator_has_its_own_default():
    found = {
        name: plug_in(f"mi_estimator.{name}").load({}).method.parameter
        for name in ("binning", "binning_global", "binning_adaptive", "upper", "kraskov", "edge")
    }

    assert found == {
        "binning": "bin width 0.07",
        "binning_global": "30 bins over each layer's range",
        "binning_adaptive": "30 bins of equal mass",
        "upper": "noise variance 0.001",
        "kraskov": "k 3, standardised",
        "edge": "bandwidth 1 x automatic",
    }


def test_a_parameter_that_the_config_gives_is_taken_whatever_the_estimator():
    given = plug_in("mi_estimator.edge", discretization_range=0.06)
    own = plug_in("mi_estimator.edge", 0.5, discretization_range=0.06)

    assert (given.discretization_range, own.discretization_range) == (0.06, 0.5)


def test_an_estimator_without_a_default_has_the_width_of_a_bin(own_estimator):
    own_estimator.write("def load(discretization_range): return Own(discretization_range)")

    assert plug_in("own_estimator").discretization_range == 0.07


def test_the_same_parameter_twice_is_one_sentence():
    config = Config.parse({"estimator": ["mi_estimator.binning", ["mi_estimator.binning", 0.07]]})

    with pytest.raises(ConfigError, match=r"should name binning_0\.07 only once"):
        estimator_plug_ins(config)


@pytest.fixture
def own_estimator(tmp_path, monkeypatch):
    """A module of the user's own, whose class gives what the test says."""

    class Module:
        def write(self, load, gives="None"):
            text = (
                "import numpy as np\n"
                "from deep_bottleneck.interfaces import LayerInformation\n"
                "from deep_bottleneck.interfaces import MutualInformationEstimator\n"
                "class Own(MutualInformationEstimator):\n"
                "    def __init__(self, parameter=None): pass\n"
                f"    def estimate(self, activations, labels): return {gives}\n"
                f"{load}\n"
            )
            (tmp_path / "own_estimator.py").write_text(text)

    monkeypatch.syspath_prepend(str(tmp_path))
    yield Module()
    sys.modules.pop("own_estimator", None)


class Stored(dict):
    """Tables as they are stored."""

    def append(self, name, rows):
        pass

    def add(self, name, table):
        self[name] = table


METRICS = pd.DataFrame(
    {"run": [0, 1], "epoch": 0, "accuracy": 0.5, "val_accuracy": 0.5, "loss": 1.0, "val_loss": 1.0}
)


def measured(layers, examples, labels, *entry):
    """The stored tables of an epoch of two runs."""
    tables = Stored()
    plug_ins = {"": plug_in(*entry)}
    observing = InformationTables("train", plug_ins, {}, Inputs(labels, examples), tables)
    observing.observe(0, np.array([0, 1]), layers, telling=True)
    observing.store(METRICS)
    return tables


@pytest.mark.parametrize(
    ("gives", "sentence"),
    [
        ("None", "estimate() of own_estimator.Own gave nothing (None), expected a LayerInf"),
        ("(np.ones(2), np.ones(2))", "estimate() of own_estimator.Own gave a tuple, expected a"),
        (
            "LayerInformation(np.ones(5), np.ones(5), 1.0)",
            "own_estimator.Own gave mi_xm of shape (5,) for 2 runs, expected one number for each",
        ),
        (
            "LayerInformation(np.ones(2), 1.0, 1.0)",
            "own_estimator.Own gave mi_ym of shape () for 2 runs",
        ),
        (
            "LayerInformation(np.ones(2), np.ones(2), 1.0, np.ones((2, 1)))",
            "own_estimator.Own gave error_xm of shape (2, 1) for 2 runs",
        ),
    ],
)
def test_a_wrong_answer_of_an_estimator_is_one_sentence_that_names_it(
    own_estimator, gives, sentence
):
    own_estimator.write("def load(): return Own()", gives)
    layers = [np.zeros((2, 8, 1), np.float32)]

    with pytest.raises(ConfigError, match=re.escape(f'"estimator": {sentence}')):
        measured(layers, np.zeros((8, 1)), np.arange(8) % 2, "own_estimator")


@pytest.mark.parametrize("method", ["fitted", "for_runs", "for_layer"])
def test_an_estimator_that_gives_no_estimator_is_named(own_estimator, method):
    own_estimator.write(f"    def {method}(self, given): return 5\ndef load(): return Own()")
    layers = [np.zeros((2, 8, 1), np.float32)]

    with pytest.raises(ConfigError, match=rf"{method}\(\) of own_estimator\.Own gave an int"):
        measured(layers, np.zeros((8, 1)), np.arange(8) % 2, "own_estimator")


def test_inputs_that_repeat_bound_the_ceiling_and_show_saturation(caplog):
    """400 examples of eight patterns, all told apart: H(X) by NumPy is below 3 bits."""
    patterns = np.random.default_rng(0).integers(0, 2, (400, 3)).astype(np.float32)
    layers = [np.stack([patterns, patterns])]

    tables = measured(layers, patterns, patterns[:, 0].astype(int), "mi_estimator.binning", 0.5)

    share = np.unique(patterns, axis=0, return_counts=True)[1] / 400
    entropy = -np.sum(share * np.log2(share))
    assert entropy < 3
    for column in ("ceiling", "MI_XM"):
        assert tables["information_measures_train"][column].to_numpy() == pytest.approx(entropy)
    report = tables["trust_train"].set_index("check")
    assert report.loc["ceiling", "value"] == pytest.approx(entropy)
    assert report.loc["at the ceiling", "value"] == 1
    assert "100 % of the values of I(X;M) by binning (train data) are at their ceiling" in (
        caplog.text
    )


@pytest.mark.parametrize("alpha", [0.5, 1.01, 2.0])
def test_of_another_order_the_ceiling_is_the_inputs_entropy_of_that_order(alpha):
    """A kernel that tells all patterns apart has the entropy of how often they occur."""
    patterns = np.repeat(np.arange(4.0), [100, 60, 30, 10])[:, None].astype(np.float32)
    layers = [np.stack([patterns, patterns])]

    tables = measured(
        layers, patterns, patterns[:, 0].astype(int), "mi_estimator.renyi", 0.01, {"alpha": alpha}
    )

    share = np.array([100, 60, 30, 10]) / 200
    entropy = np.log2(np.sum(share**alpha)) / (1 - alpha)
    for column in ("ceiling", "MI_XM"):
        assert tables["information_measures_train"][column].to_numpy() == pytest.approx(entropy)


def test_a_method_that_can_answer_less_keeps_its_own_ceiling():
    examples = np.random.default_rng(0).standard_normal((2000, 1)).astype(np.float32)
    layers = [np.stack([examples, examples])]

    tables = measured(layers, examples, np.arange(2000) % 2, "mi_estimator.edge_published", 1)

    assert (tables["information_measures_train"]["ceiling"] == 10).all()


def test_a_plane_of_zeros_is_said_with_the_parameter_that_may_be_meant_for_another(caplog):
    patterns = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.float32)
    layer = np.random.default_rng(0).standard_normal((2, 256, 3)).astype(np.float32)
    labels = np.arange(256) % 2

    measured([layer], patterns, labels, "mi_estimator.edge", 0.06)

    (record,) = caplog.records
    assert record.getMessage() == (
        "All 2 values of I(X;M) by edge, bandwidth 0.06 x automatic (train data) are 0: the method "
        'sees nothing of the input; 0.06 as "discretization_range" may be meant for another '
        "estimator, the default of this one is 1."
    )


def test_most_values_against_the_data_processing_inequality_are_said(caplog):
    narrow = np.repeat(np.arange(2.0), 8)[:, None].astype(np.float32)
    wide = np.arange(16.0)[:, None].astype(np.float32)
    layers = [np.stack([narrow, narrow]), np.stack([wide, wide])]

    measured(layers, wide, np.arange(16) % 2, "mi_estimator.binning", 1)

    assert "100 % of the values of deeper layers by binning (train data) contradict" in caplog.text


def test_a_store_without_inputs_has_the_ceilings_of_different_ones(caplog):
    class Old(Inputs):
        @property
        def examples(self):
            raise RecordError("it does not hold the examples")

        def __init__(self):
            object.__setattr__(self, "labels", np.arange(8) % 2)

    assert counted_inputs(Old()) is None
    assert "it does not hold the examples" in caplog.text
