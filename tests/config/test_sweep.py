import pytest

from deep_bottleneck.config import sweep
from deep_bottleneck.errors import ConfigError


def test_a_config_without_a_sweep_is_one_experiment_of_its_own_name(write):
    path = write("plain.json", epochs=5, seed=1)

    (only,) = sweep.expand(path, ["seed=2", "activation_fn=relu"])

    assert (only.name, only.source, only.varied) == (str(path), path, {})
    assert only.hyperparameters == {"epochs": 5, "seed": 2, "activation_fn": "relu"}
    assert not only.is_resolved


def test_a_grid_is_every_combination_in_order(write):
    path = write("s.json", epochs=5, grid={"activation_fn": ["tanh", "relu"], "seed": [0, 1]})

    combinations = sweep.expand(path)

    assert [one.name for one in combinations] == [
        "s_activation_fn-tanh_seed-0",
        "s_activation_fn-tanh_seed-1",
        "s_activation_fn-relu_seed-0",
        "s_activation_fn-relu_seed-1",
    ]
    assert combinations[2].hyperparameters == {"epochs": 5, "activation_fn": "relu", "seed": 0}
    assert combinations[2].varied == {"activation_fn": "relu", "seed": 0}


def test_a_zip_goes_along_together_with_every_combination_of_the_grid(write):
    path = write(
        "s.json",
        grid={"seed": [0, 1]},
        zip={"optimizer": ["sgd", "adam"], "learning_rate": [0.1, 0.1]},
    )

    varied = [tuple(one.varied.values()) for one in sweep.expand(path)]

    assert varied == [("sgd", 0.1, 0), ("sgd", 0.1, 1), ("adam", 0.1, 0), ("adam", 0.1, 1)]


def test_a_file_replaces_what_it_says_of_those_it_extends(write):
    write("first.json", epochs=8000, n_runs=5, seed=3)
    write("second.json", extends="first.json", n_runs=2, grid={"seed": [0, 1], "backend": ["jax"]})
    path = write(
        "folder/third.json", extends="../second.json", backend="torch", grid={"n_runs": [7]}
    )

    combinations = sweep.expand(path)

    assert [one.hyperparameters for one in combinations] == [
        {"epochs": 8000, "backend": "torch", "seed": seed, "n_runs": 7} for seed in (0, 1)
    ]


def test_extending_alone_is_one_experiment_named_after_the_file(write):
    write("base.json", epochs=8000)

    (only,) = sweep.expand(write("own.json", extends="base.json", seed=1))

    assert only.name == "own"
    assert only.is_resolved


def test_a_dotted_key_varies_an_element(write):
    path = write("s.json", seed=0, callbacks={"a": 1, "b": 2}, grid={"callbacks.b": [3, 4]})

    first, second = sweep.expand(path, ["callbacks.a=5"])

    assert first.hyperparameters == {"seed": 0, "callbacks": {"a": 5, "b": 3}}
    assert second.name == "s_b-4"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("datasets.harmonics", "harmonics"),
        ([10, 7, 5], "10-7-5"),
        ([], "none"),
        (False, "false"),
        (0.4, "0.4"),
        ([["mi_estimator.upper", 0.1], "mi_estimator.exact"], "upper-0.1-exact"),
        ({"size": 10}, "size-10"),
    ],
)
def test_values_are_shown_in_short(value, text):
    assert sweep.shown(value) == text


def test_names_stay_file_names_and_apart(write):
    entries = ["a/b", "a:b", "x" * 300, "x" * 301]

    names = [one.name for one in sweep.expand(write("s=1.json", grid={"dataset": entries}))]

    assert names[:2] == ["s-1_dataset-a-b_0", "s-1_dataset-a-b_1"]
    assert len(set(names)) == 4
    assert max(map(len, names)) < 200


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"grid": ["seed"]}, '"grid" is \\["seed"\\] but should be an object'),
        ({"grid": {"seed": 3}}, '"grid": "seed" is 3 but should be a list of values'),
        ({"grid": {"seed": []}}, '"seed" is \\[\\] but should be a list of values'),
        ({"grid": {"seed": [1, 2, 1]}}, '"seed" has a value twice'),
        ({"zip": {"seed": [1], "epochs": [1, 2]}}, '"seed" has 1, "epochs" has 2'),
        ({"seed": 1, "grid": {"seed": [1, 2]}}, '"seed" should stand only once'),
        (
            {"grid": {"dataset_options.n_test": [1, 2], "dataset_options": [{}, {"n_test": 3}]}},
            '"dataset_options.n_test" is a part of "dataset_options"',
        ),
        ({"extends": 3}, '"extends" is 3 but should be the path'),
        ({"extends": "absent.json"}, "absent.json: there is no such file"),
        ({"extends": "base\0.json"}, "base\0.json: cannot be read: embedded null"),
        ({"extends": "s.json"}, "circle: s.json -> s.json"),
        (
            {"grid": {f"dataset_options.{x}": list(range(1000)) for x in "abc"}},
            "the sweep has 1,000,000,000 experiments, more than the 100,000 of one command",
        ),
    ],
)
def test_an_improper_sweep_is_one_sentence(write, content, sentence):
    path = write("s.json", **content)

    with pytest.raises(ConfigError, match=sentence):
        sweep.expand(path)


def test_the_command_line_does_not_set_what_is_varied(write):
    path = write("s.json", grid={"seed": [0, 1]})

    with pytest.raises(ConfigError, match=r'"seed" is varied; choose some.*--only "seed=VALUE"'):
        sweep.expand(path, ["seed=1"])


def test_an_object_with_a_varied_element_is_not_set_as_a_whole(write):
    path = write("s.json", grid={"dataset_options.label_noise": [0, 0.5]})

    with pytest.raises(ConfigError, match='set its other elements one by one, as "dataset_options'):
        sweep.expand(path, ["dataset_options={'n_train': 10}"])

    first, second = sweep.expand(path, ["dataset_options.n_train=10"])
    assert first.hyperparameters["dataset_options"] == {"label_noise": 0, "n_train": 10}
    assert second.hyperparameters["dataset_options"] == {"label_noise": 0.5, "n_train": 10}


def test_a_file_that_says_an_object_replaces_what_the_other_says_of_its_elements(write):
    write("base.json", seed=1, grid={"dataset_options.label_noise": [0, 0.5]})

    (only,) = sweep.expand(write("own.json", extends="base.json", dataset_options={"n_train": 10}))

    assert only.hyperparameters == {"seed": 1, "dataset_options": {"n_train": 10}}


@pytest.mark.parametrize("update", ["epochs", "=3"])
def test_an_update_needs_a_key_and_a_value(update):
    with pytest.raises(ConfigError, match="should be KEY=VALUE"):
        sweep.parse_update(update)


@pytest.mark.parametrize(
    "update",
    ["epochs={[]: 1}", "epochs={(1, 2): 3}", "architecture={10, 7}", "epochs=" + "-" * 5000 + "1"],
    ids=["a key that is a list", "a key that is no text", "a set", "thousands of signs"],
)
def test_a_value_that_no_config_could_have_is_refused_in_short(update):
    with pytest.raises(ConfigError, match="with a VALUE of JSON's types or text") as error:
        sweep.parse_update(update)

    assert len(str(error.value)) < 120


def test_each_experiment_has_a_seed_of_its_own_that_stays(write):
    grid = {"epochs": [1, 2], "batch_size": list(range(1, 101))}
    before = [one.hyperparameters for one in sweep.expand(write("s.json", grid=grid))]

    more = {**grid, "epochs": [3, 2, 1]}
    after = [one.hyperparameters for one in sweep.expand(write("t.json", seed=None, grid=more))]

    assert len({values["seed"] for values in before}) == 200
    assert all(values in after for values in before)


def test_a_seed_that_the_config_fixes_is_everyones(write):
    found = sweep.expand(write("s.json", seed=3, grid={"epochs": [1, 2]}))

    assert [one.hyperparameters["seed"] for one in found] == [3, 3]
