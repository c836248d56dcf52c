"""Tables and arrays of one's own as data sets."""

import logging

import numpy as np
import pandas as pd
import pytest

from deep_bottleneck.config import Config
from deep_bottleneck.datasets import csv, npz
from deep_bottleneck.errors import ConfigError, DataError
from deep_bottleneck.pipeline.plan import make_plan


@pytest.fixture
def table():
    generator = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": generator.uniform(20, 80, 100),
            "diagnosis": ["sick", "healthy", "healthy", "healthy"] * 25,
            "ratio": generator.uniform(0, 3, 100),
        }
    )


@pytest.fixture
def stored(tmp_path):
    def stored(table, name="patients.csv", **options):
        table.to_csv(tmp_path / name, index=False, **options)
        return str(tmp_path / name)

    return stored


def test_words_become_classes_and_each_class_has_the_same_share_of_both_parts(table, stored):
    dataset = csv.load(stored(table), "diagnosis")

    assert dataset.train.class_names == dataset.test.class_names == ("healthy", "sick")
    assert np.bincount(dataset.train.labels).tolist() == [60, 20]
    assert np.bincount(dataset.test.labels).tolist() == [15, 5]
    rows = pd.DataFrame(dataset.train.examples, columns=["age", "ratio"])
    rows["diagnosis"] = np.array(dataset.train.class_names)[dataset.train.labels]
    found = table.merge(rows.round(4), how="inner", on=["diagnosis"])
    together = found[np.isclose(found["age_x"], found["age_y"], atol=1e-3)]
    assert len(together) == 80
    assert np.allclose(together["ratio_x"], together["ratio_y"], atol=1e-3)


@pytest.mark.parametrize("label", [1, -2, "diagnosis"])
def test_the_column_of_labels_by_name_or_number(table, stored, label):
    assert csv.load(stored(table), label).train.class_names == ("healthy", "sick")


def test_the_seed_decides_the_split(table, stored):
    path = stored(table)
    first, again, other = (
        csv.load(path, "diagnosis", split_seed=seed).test.examples for seed in (3, 3, 4)
    )

    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_inputs_are_standardized_by_the_training_part(table, stored):
    path = stored(table.assign(constant=7.0, stamp=1.7e9 + table["age"]))
    dataset = csv.load(path, "diagnosis", standardize=True)
    as_they_are = csv.load(path, "diagnosis", drop=["stamp"])

    train, test = dataset.train.examples, dataset.test.examples
    np.testing.assert_allclose(train.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(train.std(axis=0), [1, 1, 0, 1], atol=1e-5)
    ages = as_they_are.train.examples[:, 0]
    expected = (as_they_are.test.examples[:, 0] - ages.mean()) / ages.std()
    np.testing.assert_allclose(test[:, 0], expected, atol=1e-4)
    np.testing.assert_allclose(test[:, 3], test[:, 0], atol=1e-4)


def test_tabs_and_other_separators_and_tables_without_names(table, stored):
    wanted = csv.load(stored(table), "diagnosis").test.examples

    for path, options in (
        (stored(table, "patients.tsv", sep="\t"), {}),
        (stored(table, "patients.txt", sep=";"), {"separator": ";"}),
        (stored(table, "patients.csv.gz"), {}),
        (stored(table, "bare.csv", header=False), {"header": False}),
    ):
        np.testing.assert_array_equal(csv.load(path, 1, **options).test.examples, wanted)


@pytest.mark.parametrize(
    ("change", "options", "sentence"),
    [
        (lambda t: t.assign(age=t["age"].where(t["age"] > 30)), {},
         r'missing values, by column: "age" \d+;'),
        (lambda t: t.assign(diagnosis=t["diagnosis"].where(t.index > 1)), {},
         'missing values, by column: "diagnosis" 2;'),
        (lambda t: t.assign(sex="f"), {}, """"sex" has 'f', which is no number"""),
        (lambda t: t.assign(diagnosis=t["age"]), {}, "fractions are no classes"),
        (lambda t: t.assign(diagnosis=t["diagnosis"].where(t.index > 0, "dead")), {},
         "of the rarest, dead, there are 1"),
        (lambda t: t[["diagnosis"]], {}, 'no other column than "diagnosis"'),
        (lambda t: t.rename(columns={"age": "7"}), {}, "the number 7"),
        (lambda t: t.rename(columns={"age": ""}), {}, "the column 0 has no name"),
        (lambda t: t.assign(age=1.7e9 + t["age"]), {}, '"age" varies by 1[78] .* float32'),
        (lambda t: t, {"test_share": 1.0}, '"test_share" is 1'),
    ],
)  # fmt: skip
def test_what_cannot_be_learned_from_is_said_with_its_column(
    table, stored, change, options, sentence
):
    with pytest.raises(DataError, match=sentence):
        csv.load(stored(change(table)), "diagnosis", **options)


def test_rows_of_different_lengths_are_refused(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n" + "1,2,3\n" * 20)

    with pytest.raises(DataError, match=r"t\.csv is no table that can be read"):
        csv.load(str(tmp_path / "t.csv"), "b")


def test_a_column_that_spreads_a_hundred_times_as_far_is_said_once(table, stored, caplog):
    path = stored(table.assign(ratio=table["ratio"] / 100))
    with caplog.at_level(logging.WARNING):
        csv.load(path, "diagnosis", standardize=True)
        assert not caplog.messages
        csv.load(path, "diagnosis")

    (message,) = caplog.messages
    assert '"age" spreads' in message
    assert '"ratio"' in message


def test_a_wrong_column_or_file_is_said_before_anything_is_trained(table, stored):
    path = stored(table)
    with pytest.raises(ConfigError, match='did you mean "diagnosis"'):
        csv.load(path, "diagnose")
    with pytest.raises(ConfigError, match=r"no file .*absent\.csv"):
        make_plan(Config.parse({"dataset": ["datasets.csv", ["absent.csv", 0]]}))
    with pytest.raises(ConfigError, match="'label'"):
        make_plan(Config.parse({"dataset": ["csv", [path]]}))

    plan = make_plan(Config.parse({"dataset": ["csv", {"label": 1, "path": path}]}))
    assert list(map(str, plan.dataset_files)) == [path]


def test_a_file_is_found_in_the_folder_of_data_sets(table, stored, tmp_path, monkeypatch):
    stored(table)
    monkeypatch.setenv("DEEP_BOTTLENECK_DATA", str(tmp_path))

    assert len(csv.load("patients.csv", "diagnosis").train) == 80


def test_arrays_are_split_or_keep_their_own_split(tmp_path):
    x, y = np.random.default_rng(0).normal(size=(50, 4, 4)), np.array(["b", "a"] * 25)
    np.savez(tmp_path / "whole.npz", x=x, y=y)
    np.savez(tmp_path / "split.npz", x_train=x[:30], y_train=y[:30], x_test=x[30:], y_test=y[30:])

    whole = npz.load(str(tmp_path / "whole.npz"), test_share=0.4)
    split = npz.load(str(tmp_path / "split.npz"))

    assert whole.train.examples.shape == split.train.examples.shape == (30, 4, 4)
    assert whole.train.class_names == split.test.class_names == ("a", "b")
    np.testing.assert_allclose(split.test.examples, x[30:], rtol=1e-6)
    assert np.bincount(whole.test.labels).tolist() == [10, 10]
    with pytest.raises(DataError, match="a split of its own"):
        npz.load(str(tmp_path / "split.npz"), test_share=0.5)


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"a": np.ones(3)}, "its arrays are a"),
        ({"x": np.ones((3, 2)), "y": np.eye(3)}, "one label for each example"),
        ({"x": np.ones((3, 2)), "y": np.arange(4)}, "one label for each example"),
        ({"x": np.array([{}, 1]), "y": np.arange(2)}, "allow_pickle"),
    ],
)
def test_other_arrays_are_refused(tmp_path, arrays, sentence):
    np.savez(tmp_path / "mine.npz", **arrays)

    with pytest.raises(DataError, match=sentence):
        npz.load(str(tmp_path / "mine.npz"))
