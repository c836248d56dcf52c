import pytest

from deep_bottleneck.config import Config
from deep_bottleneck.errors import ConfigError


def test_defaults_are_the_classic_network():
    parsed = Config.parse({})

    assert parsed.architecture == (10, 7, 5, 4, 3)
    assert parsed.activation_fn == "tanh"
    assert parsed.dataset == "datasets.harmonics"


def test_defaults_in_json_types_parse_to_the_same_config():
    parsed = Config.parse({"callbacks": [["a.b", ["x", 1]], ["c.d", {"k": 2}]], "seed": 3})

    assert Config.parse(parsed.defaults()) == parsed


def test_a_plug_in_is_a_path_or_a_path_with_arguments():
    parsed = Config.parse(
        {"callbacks": ["a.b", ["c.d", ["x", 1]], ["e.f", {"k": 2}], ["g.h", [1], {"k": 2}]]}
    )

    assert [(e.path, e.arguments, e.keywords) for e in parsed.callbacks] == [
        ("a.b", (), {}),
        ("c.d", ("x", 1), {}),
        ("e.f", (), {"k": 2}),
        ("g.h", (1,), {"k": 2}),
    ]


@pytest.mark.parametrize(
    ("written", "estimators"),
    [
        ("mi_estimator.upper", {"upper": ("mi_estimator.upper", 0.1, {})}),
        (["mi_estimator.upper"], {"upper": ("mi_estimator.upper", 0.1, {})}),
        (
            ["mi_estimator.upper", ["mi_estimator.kraskov", 3]],
            {"upper": ("mi_estimator.upper", 0.1, {}), "kraskov": ("mi_estimator.kraskov", 3, {})},
        ),
        (
            ["mi_estimator.upper", ["mi_estimator.upper", 0.01]],
            {
                "upper_0.1": ("mi_estimator.upper", 0.1, {}),
                "upper_0.01": ("mi_estimator.upper", 0.01, {}),
            },
        ),
        (
            [["kraskov", 3], ["kraskov", 3, {"algorithm": 2}]],
            {
                "kraskov_3": ("mi_estimator.kraskov", 3, {}),
                "kraskov_3_algorithm_2": ("mi_estimator.kraskov", 3, {"algorithm": 2}),
            },
        ),
    ],
)
def test_estimators_have_names_that_tell_them_apart(written, estimators):
    parsed = Config.parse({"estimator": written, "discretization_range": 0.1})

    assert parsed.estimators == estimators
    assert Config.parse(parsed.defaults()) == parsed


def test_one_estimator_is_stored_as_its_path():
    assert Config.parse({}).defaults()["estimator"] == "mi_estimator.binning"


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("train", ("train",)),
        ("training", ("train",)),
        ("full_dataset", ("full",)),
        (["train", "test", "full"], ("train", "test", "full")),
        ([], ()),
    ],
)
def test_parts_of_the_data_have_old_names_too(value, parts):
    assert Config.parse({"calculate_mi_for": value}).calculate_mi_for == parts


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"epochs": -1}, '"epochs" is -1 but should be greater than 0'),
        ({"epochs": "5"}, '"epochs" is "5" but should be a valid integer'),
        ({"epochs": 1.5}, '"epochs" is 1.5 but should be a valid integer'),
        ({"epcohs": 5}, 'unknown key "epcohs" (value 5); did you mean "epochs"?'),
        ({"activation_fn": "tahn"}, 'did you mean "tanh"?'),
        ({"optimizer": "adm"}, '"optimizer" is "adm" but should be "sgd" or "adam"'),
        ({"learning_rate": float("nan")}, '"learning_rate" is NaN but should be a finite number'),
        ({"estimator": 5}, '"estimator" is 5 but'),
        ({"estimator": []}, '"estimator" is [] but should name at least one estimator'),
        (
            {"estimator": ["a", 3]},
            'element [1] should be "path" or ["path", discretization_range, {',
        ),
        ({"estimator": [["a", -3]]}, '"discretization_range" of element [0] should be greater'),
        (
            {"estimator": ["a", "b", ["a", 0.07]], "discretization_range": 0.07},
            "should name a_0.07 only once",
        ),
        ({"discretization_range": 0}, '"discretization_range" is 0 but should be greater than 0'),
        (
            {"discretization_range": 1e308},
            '"discretization_range" is 1e+308 but should be a number',
        ),
        ({"learning_rate": 1e308}, "that float32 holds, of a size from 1.2e-38 to 3.4e+38"),
        ({"learning_rate": 1e-50}, '"learning_rate" is 1e-50 but should be a number that float32'),
        ({"initial_bias": -1e308}, '"initial_bias" is -1e+308 but should be a number that float32'),
        ({"max_norm_weights": 1e39}, '"max_norm_weights" is 1e+39 but should be'),
        ({"estimator": [["a", 1e308]]}, '"discretization_range" of element [0] should be a number'),
        ({"architecture": [10, 0]}, "element [1] should be greater than 0"),
        ({"max_norm_weights": True}, '"max_norm_weights" is true'),
        ({"calculate_mi_for": "tset"}, 'element [0] should be "train", "test" or "full"'),
        ({"callbacks": [3]}, 'should be "path" or ["path", [arguments], {"name": argument}]'),
        ({"n_runs": True}, '"n_runs" is true but should be a valid integer'),
        ({"seed": -1}, '"seed" is -1'),
        ({"architecture": 5}, '"architecture" is 5 but should be a list'),
        ({"architecture": ["a", 0]}, "integer and element [1] should be greater than 0"),
        (
            {"max_norm_weights": -1},
            '"max_norm_weights" is -1 but should be False or greater than 0',
        ),
        ({"callbacks": [{}]}, '"path" of element [0] should be given'),
        ({"callbacks": ["a", {"pth": "b"}]}, 'element [1] has an unknown option "pth"; did you'),
        ({"callbacks": [["a", {1: 2}]]}, 'each key of "keywords" of element [0] should be a valid'),
        ({"device": "gpu"}, '"device" is "gpu" but should be "auto", "cpu", "cuda" or one of'),
        ({"device": "cuda:x"}, '"device" is "cuda:x" but should be "auto"'),
        ({"device": "cuda:9999"}, '"device" is "cuda:9999" but should be "auto"'),
        ({"epochs": 10**18}, "but should be less than or equal to 10000000"),
        ({"keep_activations": "false"}, "should be False on a command line, or a folder"),
        ({"calculate_mi_for": ["train", "training"]}, "should name train only once"),
        ({"dataset_options": {"label_noise": True}}, '"label_noise" should be a valid number'),
    ],
)
def test_a_mistake_is_one_sentence_with_key_and_value(values, sentence):
    with pytest.raises(ConfigError) as error:
        Config.parse(values)

    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("key", "short", "whole"),
    [
        ("dataset", "harmonics", "datasets.harmonics"),
        ("model", "feedforward", "models.feedforward"),
        ("dataset", "my_lab.harmonics", "my_lab.harmonics"),
        ("dataset", "nobody_s", "nobody_s"),
    ],
)
def test_a_plug_in_of_ours_may_be_named_without_its_folder(key, short, whole):
    assert getattr(Config.parse({key: short}), key) == whole


@pytest.mark.parametrize(
    ("key", "value", "paths"),
    [
        ("plotters", "snr", ["plotter.snr"]),
        ("plotters", ["plotter.snr", ["efficiency", []]], ["plotter.snr", "plotter.efficiency"]),
        ("callbacks", "callbacks.gradient_logger", ["callbacks.gradient_logger"]),
        ("estimator", "binning", ["mi_estimator.binning"]),
        ("estimator", [["upper", 0.1], "kraskov"], ["mi_estimator.upper", "mi_estimator.kraskov"]),
    ],
)
def test_plug_ins_of_ours_as_a_list_or_one_by_itself(key, value, paths):
    assert [entry.path for entry in getattr(Config.parse({key: value}), key)] == paths


def test_a_module_of_that_name_elsewhere_is_taken_as_it_stands(tmp_path, monkeypatch):
    (tmp_path / "harmonics.py").touch()
    monkeypatch.syspath_prepend(tmp_path)

    assert Config.parse({"dataset": "harmonics"}).dataset == "harmonics"


def test_a_key_of_earlier_years_may_say_nothing():
    assert Config.parse({"regularization": False}) == Config.parse({})
    with pytest.raises(ConfigError, match=r'"regularization" is 0.1 .*; "max_norm_weights" limits'):
        Config.parse({"regularization": 0.1})


@pytest.mark.parametrize(
    ("values", "hint"),
    [
        ({"lr": 0.1}, 'did you mean "learning_rate"?'),
        ({"Epochs": 5}, 'did you mean "epochs"?'),
        ({"activation_fn": "Relu"}, 'did you mean "relu"?'),
    ],
)
def test_what_was_meant(values, hint):
    with pytest.raises(ConfigError) as caught:
        Config.parse(values)

    assert str(caught.value).endswith(hint)


def test_every_mistake_is_named():
    with pytest.raises(ConfigError, match=r'"epochs".*; .*"n_runs"'):
        Config.parse({"epochs": 0, "n_runs": 0})


def test_every_key_has_a_description():
    assert all(field.description for field in Config.model_fields.values())
