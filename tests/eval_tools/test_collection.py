import shutil

import numpy as np
import pandas as pd
import pytest

from deep_bottleneck.errors import MissingTableError, RecordError
from deep_bottleneck.eval_tools import (
    ExperimentLoader,
    compare,
    find_differing_config_keys,
    format_config,
)
from deep_bottleneck.eval_tools.comparison import repeats
from deep_bottleneck.eval_tools.configs import differing_keys


def test_a_collection_is_a_sequence(loader):
    experiments = loader.find_all()

    assert [experiment.id for experiment in experiments] == [1, 2, 3, 4]
    assert experiments[1:3].ids == [2, 3]
    assert experiments[-1].id == 4
    assert experiments.filter(lambda experiment: experiment.seed > 2).ids == [3, 4]
    assert experiments.filter(status="COMPLETED", epochs=20).ids == [3]


def test_configs_and_metrics_make_one_table(loader):
    on = ["activation_fn", "nested.depth", "test.accuracy", {"test.accuracy": ["best", "first"]}]
    table = loader.find_all().project([*on, {"training.loss": "best"}, "result.test", "status"])

    assert table.index.tolist() == [1, 2, 3, 4]
    assert table["activation_fn"].tolist() == ["tanh", "tanh", "relu", "fails"]
    assert table["nested.depth"].tolist() == [1, 1, 2, 2]
    assert table["test.accuracy"].tolist() == [0.5] * 4
    assert table["test.accuracy_best"].tolist() == [0.9375] * 4
    assert table["test.accuracy_first"].tolist() == [0.5] * 4
    np.testing.assert_allclose(table["training.loss_best"], [1 / 10, 1 / 10, 1 / 20, 1 / 20])
    assert np.isnan(table.loc[4, "result.test"])
    assert table.loc[4, "status"] == "FAILED"


def test_without_columns_the_table_shows_what_differs(loader):
    expected = ["status", "activation_fn", "epochs", "nested.depth", "seed"]

    assert loader.find_all().project().columns.tolist() == expected
    assert "fails" in loader.find_all()._repr_html_()


def test_a_key_that_nobody_has_is_named(loader):
    with pytest.raises(ValueError, match="hyperparameter or metric 'epcohs'"):
        loader.find_all().project(["epcohs"])
    with pytest.raises(ValueError, match="'median' is none of first, last"):
        loader.find_all().project([{"test.accuracy": "median"}])


@pytest.mark.parametrize(
    ("configs", "keys"),
    [
        ([], []),
        ([{"a": 1}], []),
        ([{"a": 1}, {"a": True}], ["a"]),
        ([{"a": 1}, {"a": 1.0}], ["a"]),
        ([{"a": float("nan")}, {"a": float("nan")}], []),
        ([{"a": [1, 2]}, {"a": (1, 2)}], []),
        ([{"a": {"x": 1, "y": 2}}, {"a": {"y": 2, "x": 1}}], []),
        ([{"a": None}, {}], ["a"]),
        ([{}, {"b": 1, "a": {"x": 1}}, {}], ["a.x", "b"]),
    ],
)
def test_values_differ_as_they_are_written(configs, keys):
    assert differing_keys(configs) == keys


def test_what_differs_titles_an_experiment(loader):
    experiments = loader.find_by_ids([1, 3])

    keys = ["activation_fn", "epochs", "nested.depth", "seed"]
    assert experiments.differing_config_keys() == keys
    assert find_differing_config_keys(experiments) == set(keys)
    assert format_config(experiments[0].config, "epochs", "nested.depth") == (
        "epochs: 10, nested.depth: 1"
    )
    assert experiments.titles()[3] == "3: activation_fn: relu, epochs: 20, nested.depth: 2"


def test_measures_are_averaged_over_runs(loader):
    measures = loader.find_by_ids([1, 3]).mean_measures()

    of_last = measures.query("layer == 2 and epoch == 5").set_index("id")
    assert of_last["MI_XM"].to_dict() == {1: 3.5, 3: 4.5}
    with pytest.raises(RecordError, match="no experiment"):
        loader.find_by_name("nobody").mean_measures()


def test_planes_are_side_by_side(loader):
    figure = loader.find_by_ids([1, 2, 3]).plot_planes(n_columns=2)

    drawn = [axes for axes in figure.axes if axes.get_title()]
    assert drawn[0].get_title().startswith("1: activation_fn: tanh")
    assert len(drawn) == 3
    assert drawn[0].get_xlim() == drawn[2].get_xlim()
    assert [axes.texts[0].get_text() for axes in drawn] == [f"test {i}0.0%" for i in (1, 2, 3)]
    with pytest.raises(ValueError, match="n_columns must be at least 1"):
        loader.find_by_ids([1]).plot_planes(n_columns=0)


def test_repeats_are_compared_by_mean_and_interval(loader):
    experiments = loader.find_by_ids([1, 2, 3])

    groups = repeats(experiments, "training.loss")
    figure = compare(experiments, "training.loss")

    assert [table.shape for table in groups.values()] == [(10, 2), (20, 1)]
    (axes,) = figure.axes
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels[0].endswith("(n = 2)")
    assert len(axes.collections) == 1
    with pytest.raises(ValueError, match="confidence must be between"):
        compare(experiments, "training.loss", confidence=95)
    with pytest.raises(ValueError, match="a metric 'loss'"):
        compare(experiments, "loss")


def test_the_interval_is_students(loader, monkeypatch):
    """For two repeats at 0 and 2, the mean is 1 within 12.706 standard errors of 1."""
    experiments = loader.find_by_ids([1, 2])
    series = {i: {"m": pd.Series([2.0 * (i - 1)], index=[0])} for i in (1, 2)}
    monkeypatch.setattr(experiments.store, "metrics", lambda ids, names: series)

    (axes,) = compare(experiments, "m").axes

    edges = axes.collections[0].get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose([edges.min(), edges.max()], [1 - 12.706, 1 + 12.706], rtol=1e-3)


def test_a_broken_record_is_left_out_and_named(places, tmp_path, caplog):
    shutil.copytree(places["local"]["path"], tmp_path / "runs")
    (tmp_path / "runs" / "2" / "run.json").write_text('{"status": ')
    loader = ExperimentLoader(path=tmp_path / "runs")

    assert loader.find(status="COMPLETED").ids == [1, 3]
    assert "2/run.json cannot be read" in caplog.text
    with pytest.raises(RecordError, match=r"2/run\.json cannot be read"):
        loader.find_by_id(2)


def gone(path):
    path.unlink()


def emptied(path):
    path.write_bytes(b"")


def no_table(path):
    path.write_text("<p>a page</p>\n")


def linked_to_nowhere(path):
    path.unlink()
    path.symlink_to("nowhere")


@pytest.mark.parametrize(
    ("key", "near"),
    [("activation", "'activation_fn'"), ("accuracy", "'test.accuracy'"), ("stat", "'status'")],
)
def test_a_key_that_is_nearly_right_is_answered_with_the_right_one(loader, key, near):
    with pytest.raises(ValueError, match=f"metric '{key}'; did you mean .*{near}"):
        loader.find_all().project([key])


def test_a_metric_that_is_nearly_right_is_answered_with_the_right_one(loader):
    with pytest.raises(ValueError, match=r"metric 'accuracy'; did you mean 'test.accuracy'\?"):
        compare(loader.find_all(), "accuracy")
    with pytest.raises(ValueError, match=r"metric 'MI_XM'; there are .*training.loss"):
        compare(loader.find_all(), "MI_XM")


@pytest.mark.parametrize("damage", [gone, emptied, no_table, linked_to_nowhere])
@pytest.mark.parametrize("name", ["config.json", "information_measures_test.csv"])
def test_planes_of_the_others_are_drawn(places, tmp_path, caplog, damage, name):
    shutil.copytree(places["local"]["path"], tmp_path / "runs")
    damage(tmp_path / "runs" / "2" / name)

    figure = ExperimentLoader(path=tmp_path / "runs").find_by_ids([1, 2, 3]).plot_planes()

    drawn = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert [title[:2] for title in drawn] == ["1:", "3:"]
    assert "runs/2" in caplog.text or "experiment 2" in caplog.text


def test_an_experiment_that_has_no_such_table_is_no_damage(loader):
    with pytest.raises(MissingTableError, match="has no information measures of the train data"):
        loader.find_by_ids([1, 2]).mean_measures(part="train")
