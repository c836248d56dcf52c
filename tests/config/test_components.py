import sys

import keras
import pytest

from deep_bottleneck.config import components
from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import BasePlotter, Dataset, MutualInformationEstimator


@pytest.fixture
def my_lab(tmp_path, monkeypatch):
    """A researcher's own package with plug-ins, outside of this repository."""
    package = tmp_path / "my_lab"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "eeg.py").write_text(
        "def load(n_classes, scale=2, *, shift=0):\n    return n_classes * scale + shift\n"
    )
    (package / "no_load.py").write_text("value = 3\n")
    (package / "broken.py").write_text("1 / 0\n")
    (package / "incomplete").mkdir()
    (package / "incomplete" / "__init__.py").write_text("import a_package_that_is_missing\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield package
    for name in [name for name in sys.modules if name.startswith("my_lab")]:
        del sys.modules[name]


def test_a_short_path_is_loaded_under_its_full_name():
    component = components.find("dataset", "datasets.harmonics")

    assert component.module.__name__ == "deep_bottleneck.datasets.harmonics"


def test_a_users_own_module_is_taken_as_it_stands(my_lab):
    component = components.find("dataset", "my_lab.eeg")

    assert component.load({"n_classes": 3}) == 6


def test_load_takes_by_name_only_what_its_signature_asks_for(my_lab):
    component = components.find("dataset", "my_lab.eeg")

    assert component.load({"n_classes": 3, "shift": 1, "unrelated": object()}) == 7


def test_arguments_of_the_config_fill_what_no_value_fills(my_lab):
    component = components.find("callbacks", "my_lab.eeg", [5])

    assert component.load({"n_classes": 3}) == 15


def test_named_arguments_of_the_config_win(my_lab):
    component = components.find("callbacks", "my_lab.eeg", keywords={"n_classes": 10})

    assert component.load({"n_classes": 3}) == 20


def test_a_class_gets_the_arguments_of_the_config_alone():
    component = components.find(
        "callbacks", "keras.callbacks.EarlyStopping", keywords={"patience": 4}
    )

    stopping = component.load({"monitor": "not for you"})

    assert isinstance(stopping, keras.callbacks.EarlyStopping)
    assert (stopping.monitor, stopping.patience) == ("val_loss", 4)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("datasets.harmonic", "did you mean datasets.harmonics?"),
        ("datasets.nothing_like_it", "there are datasets.cifar10, datasets.csv, datasets.digits"),
        ("nowhere.at_all", "tried deep_bottleneck.nowhere.at_all and nowhere.at_all"),
        ("my_lab.no_load", "has no function load()"),
        ("my_lab.broken", "ZeroDivisionError"),
        ("keras.callbacks.EarlyStoping", "no module 'keras.callbacks.EarlyStoping'"),
        ("my_lab.broken.deeper", "a package above my_lab.broken.deeper fails when it is imported"),
        ("my_lab.incomplete.eeg", "No module named 'a_package_that_is_missing'"),
        ("datasets.harmonics.load", "no module 'datasets.harmonics.load' can be imported"),
    ],
)
def test_a_path_that_leads_nowhere_says_what_was_tried(my_lab, path, sentence):
    with pytest.raises(ConfigError, match='"dataset"') as error:
        components.find("dataset", path)

    assert sentence in str(error.value)


def test_a_parameter_nobody_supplies_is_named_before_anything_is_loaded(my_lab):
    component = components.find("model", "my_lab.eeg")

    with pytest.raises(ConfigError, match="n_classes"):
        component.check({"epochs"})


def test_an_argument_too_many_is_named(my_lab):
    component = components.find("callbacks", "my_lab.eeg", [1, 2, 3])

    with pytest.raises(ConfigError, match="got 3 arguments"):
        component.check({"n_classes"})


def test_an_unknown_named_argument_is_named(my_lab):
    component = components.find("callbacks", "my_lab.eeg", keywords={"colour": "red"})

    with pytest.raises(ConfigError, match="colour"):
        component.check({"n_classes"})


def test_what_does_not_say_its_arguments_is_no_plug_in():
    with pytest.raises(ConfigError, match="does not say which arguments it takes"):
        components.find("callbacks", "builtins.dict").check(())


def test_arguments_may_have_any_name(my_lab):
    (my_lab / "saver.py").write_text("def load(path, key):\n    return path, key\n")
    component = components.find("callbacks", "my_lab.saver", keywords={"path": "out", "key": 3})

    assert component.load({}) == ("out", 3)


@pytest.mark.parametrize(
    ("arguments", "keywords", "sentence"),
    [
        (["two"], {}, "my_lab.typed got 'two' as \"width\", which should be a valid number"),
        ([1.5], {"kind": "round"}, 'got \'round\' as "kind", which should be "flat" or "steep"'),
        ([1, [1, "b"]], {}, 'as "parts", which should be a valid string'),
    ],
)
def test_an_argument_of_the_wrong_type_is_named(my_lab, arguments, keywords, sentence):
    (my_lab / "typed.py").write_text(
        "from typing import Literal\n"
        "def load(n_classes: int, width: float, parts: tuple[str, ...] = (),\n"
        "         kind: Literal['flat', 'steep'] = 'flat'): ...\n"
    )

    with pytest.raises(ConfigError) as error:
        components.find("callbacks", "my_lab.typed", arguments, keywords).check({"n_classes"})

    assert sentence in str(error.value)


def test_lists_of_the_config_are_tuples_and_whole_numbers_are_numbers(my_lab):
    (my_lab / "typed.py").write_text("def load(width: float, parts: tuple[str, ...] = ()): ...\n")

    components.find("callbacks", "my_lab.typed", [1, ["a", "b"]]).check(())


@pytest.mark.parametrize("annotation", ["'Nowhere'", "np.float32", "'np.nothing'", "'a b'", "Own"])
def test_annotations_that_cannot_be_checked_allow_everything(my_lab, annotation):
    (my_lab / "free.py").write_text(
        f"import numpy as np\nclass Own: ...\ndef load(a: {annotation}, b=1): ...\n"
    )

    components.find("callbacks", "my_lab.free", ["x", "y"]).check(())


ORIGINALS = {
    "estimator": """
from deep_bottleneck.mi_estimator.base import MutualInformationEstimator

def load(discretization_range, architecture, n_classes):
    return Own()

class Own(MutualInformationEstimator):
    def compute_mi(self, data, file_dump):
        return None
""",
    "estimator_without_base": """
def load(discretization_range, architecture, n_classes):
    return Own()

class Own:
    def compute_mi(self, data, file_dump):
        return None
""",
    "plotter": """
from deep_bottleneck.plotter.base import BasePlotter

def load(run, dataset):
    return Own()

class Own(BasePlotter):
    plotname = "own"
    file_ext = "png"

    def plot(self, measures_summary):
        return None
""",
    "plotter_without_base": """
def load(run, dataset):
    return Own()

class Own:
    def generate(self, measures_summary, suffix):
        return None
""",
}
VALUES = {"run": None, "dataset": None, "architecture": [3], "n_classes": 2}


@pytest.mark.parametrize(
    ("name", "kind", "sentence"),
    [
        ("estimator", MutualInformationEstimator, "Own with abstract method estimate; give its"),
        ("estimator_without_base", MutualInformationEstimator, "gave a Own with compute_mi, exp"),
        ("plotter", BasePlotter, "gave a Own with plotname, expected a BasePlotter; take out"),
        ("plotter_without_base", BasePlotter, "gave a Own with generate, expected a BasePlotter"),
    ],
)
def test_a_plug_in_of_the_original_is_told_what_to_change(my_lab, name, kind, sentence):
    (my_lab / f"{name}.py").write_text(ORIGINALS[name])
    component = components.find("key", f"my_lab.{name}")

    with pytest.raises(ConfigError) as caught:
        component.load_as(kind, {**VALUES, "discretization_range": 0.07})

    assert sentence in str(caught.value)
    instead = "estimate(activations, labels)" if "estimator" in name else "let plot(results)"
    assert instead in str(caught.value)


def test_an_estimator_may_serve_the_original_as_well(my_lab):
    both = "    def estimate(self, activations, labels):\n        return None\n"
    (my_lab / "both.py").write_text(ORIGINALS["estimator"] + both)
    component = components.find("estimator", "my_lab.both")

    loaded = component.load_as(MutualInformationEstimator, {**VALUES, "discretization_range": 0.07})

    assert loaded.compute_mi(None, None) is None


def test_a_data_set_of_the_original_is_one(my_lab):
    (my_lab / "words.py").write_text("""
import numpy as np
from deep_bottleneck.datasets.base_dataset import Dataset

def load():
    x = np.arange(6.0).reshape(3, 2)
    return Dataset.from_labelled_subset(x, np.array([0, 1, 1]), x[:2], np.array([1, 0]), 2)
""")

    loaded = components.find("dataset", "my_lab.words").load_as(Dataset, {})

    assert loaded.train.one_hot_labels.tolist() == [[1, 0], [0, 1], [0, 1]]
    assert loaded.test.labels.tolist() == [1, 0]
    assert loaded.test.examples.tolist() == [[0, 1], [2, 3]]
