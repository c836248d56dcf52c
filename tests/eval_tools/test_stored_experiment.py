import io
import json
import shutil
from datetime import UTC, datetime
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from stored_experiments import measures

from deep_bottleneck.errors import MissingTableError, RecordError
from deep_bottleneck.eval_tools import ExperimentLoader
from deep_bottleneck.eval_tools.artifacts import artifact
from deep_bottleneck.eval_tools.former_names import Named, of_artifacts
from deep_bottleneck.machine.processes import this_process
from deep_bottleneck.storage.base import StoredFile


def test_what_is_known_of_an_experiment(loader):
    experiment = loader.find_by_id(1)

    assert experiment.name == "deep-bottleneck"
    assert experiment.status == "COMPLETED"
    assert experiment.seed == 1
    assert experiment.config["nested"] == {"depth": 1}
    assert experiment.result == {"test": 0.1}
    assert experiment.start_time <= experiment.stop_time <= datetime.now(UTC)
    assert experiment.commit is None
    assert any(name.endswith("stored_experiments.py") for name in experiment.sources)
    assert loader.find_by_id(4).status == "FAILED"


def test_metrics_are_series_indexed_by_step(loader):
    accuracy = loader.find_by_id(3).metrics["test.accuracy"]

    assert accuracy.index.name == "step"
    assert accuracy[7] == 0.9375
    assert len(accuracy) == 20


def test_both_stores_say_the_same(places):
    local, database = (ExperimentLoader(**place).find_by_id(2) for place in places.values())

    assert local.config == database.config
    assert local.metrics.keys() == database.metrics.keys()
    for name, series in local.metrics.items():
        pd.testing.assert_series_equal(series, database.metrics[name])
    assert local.start_time == database.start_time
    assert local.sources == database.sources
    assert {n: a.read() for n, a in local.artifacts.items()} == {
        n: a.read() for n, a in database.artifacts.items()
    }
    assert {n: repr(a) for n, a in local.artifacts.items()} == {
        n: repr(a) for n, a in database.artifacts.items()
    }


def test_artifacts_have_the_content_of_their_type(loader, tmp_path):
    artifacts = loader.find_by_id(1).artifacts

    assert artifacts["infoplane_test"].content.startswith(b"\x89PNG")
    assert artifacts["infoplane_test"]._repr_png_() == artifacts["infoplane_test"].content
    assert artifacts["information_measures_test"].content["MI_XM"].max() == 4
    assert artifacts["page"].content == "<p>a page</p>"
    assert "YSBmaWxt" in artifacts["film"]._repr_html_()
    assert artifacts["notes"].show() is artifacts["notes"]
    assert artifacts["notes"].content == b"notes"
    with artifacts["states"].content as file:
        assert file["layer"][1].tolist() == [3, 4, 5]
    assert artifacts["states"].show()["shape"].tolist() == ["(2, 3)"]
    assert artifacts["states"].save(tmp_path) == tmp_path / "1_states.h5"
    assert artifacts["page"].save(tmp_path / "copy.html").read_text() == "<p>a page</p>"


def test_a_picture_is_shown_in_the_size_that_is_asked_for(loader):
    picture = loader.find_by_id(1).artifacts["infoplane_test"]

    assert picture.show() is picture
    assert picture.img.shape[2] == 4
    figure = picture.show(figsize=(12, 16))
    assert figure.get_size_inches().tolist() == [12, 16]
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), picture.img)
    assert [found.extension for found in loader.find_by_id(1).artifacts.values()][:2] == [
        "png",
        "csv",
    ]


def test_means_can_be_taken_of_the_table_that_is_shown(loader):
    tables = [found.artifacts["information_measures_test"].show() for found in loader.find_all()]
    joined = pd.concat(tables)

    means = joined.groupby(joined.index).mean()
    by_layer = tables[0].groupby(["epoch", "layer"]).mean()

    # the experiments have 1, 1, 2 and 2 bits more than the layer and the run
    assert means["MI_XM"].tolist() == [
        1.5 + run + layer for run in (0, 1) for layer in [0, 1, 2] * 2
    ]
    assert by_layer.loc[(5, 2), "MI_XM"] == 3.5
    assert set(tables[0].index.get_level_values("estimator")) == {"binning"}


def test_artifacts_and_metrics_are_found_by_what_they_were_called(loader):
    experiment = loader.find_by_id(1)

    assert experiment.artifacts["infoplane"].name == "infoplane_test"
    assert experiment.artifacts["information_measures"].name == "information_measures_test"
    assert experiment.metrics["validation.accuracy"].name == "test.accuracy"
    with pytest.raises(KeyError, match="there is no activations; there are infoplane_test"):
        experiment.artifacts["activations"]


def test_a_name_that_may_mean_two_artifacts_means_none():
    stored = dict.fromkeys(["infoplane_train", "infoplane_test", "snr"], 1)
    found = Named(stored, of_artifacts)

    assert [found[name] for name in ("snr", "snr_train", "snr_test")] == [1, 1, 1]
    assert Named({"infoplane_train.png": 2}, of_artifacts)["infoplane_train"] == 2
    assert Named({"infoplane_train.png": 2}, of_artifacts)["infoplane"] == 2
    with pytest.raises(KeyError, match="infoplane may mean infoplane_train or infoplane_test"):
        found["infoplane"]


def test_artifacts_of_several_experiments_are_saved_beside_each_other(loader, tmp_path):
    saved = [found.artifacts["notes"].save(tmp_path) for found in loader.find_all()]

    assert [path.name for path in saved] == [f"{id_}_notes.txt" for id_ in (1, 2, 3, 4)]


@pytest.mark.parametrize("name", ["../outside", "/outside", "a\\b", "a\0b"])
def test_a_stored_name_leads_to_no_other_folder(tmp_path, name):
    stored = StoredFile(name, ".txt", 5, lambda: io.BytesIO(b"notes"))

    saved = artifact(stored, "../1").save(tmp_path)

    assert saved.parent == tmp_path
    assert saved.read_bytes() == b"notes"


def test_a_stored_page_runs_apart_from_the_notebook():
    page = '<p title="a">x</p><script>parent.document.title = 1</script>'
    stored = StoredFile("page", ".html", len(page), lambda: io.BytesIO(page.encode()))

    shown = artifact(stored, 1)._repr_html_()

    (frame,) = ElementTree.fromstring(f"<div>{shown}</div>")  # noqa: S314
    assert frame.tag == "iframe"
    assert frame.get("sandbox") == "allow-scripts"
    assert frame.get("srcdoc") == page


def test_a_file_by_itself_is_saved_under_its_own_name(tmp_path):
    table = artifact(StoredFile("rows", ".csv", 4, lambda: io.BytesIO(b"a\n1\n")))

    assert table.save(tmp_path) == tmp_path / "rows.csv"


def test_an_artifact_that_cannot_be_saved_says_so(loader, tmp_path):
    with pytest.raises(RecordError, match="notes cannot be saved"):
        loader.find_by_id(1).artifacts["notes"].save(tmp_path / "absent" / "notes")


def test_information_measures_are_one_tidy_table(loader):
    experiment = loader.find_by_id(3)

    assert len(experiment.information_measures()) == 12
    assert experiment.information_measures("binning")["MI_XM"].min() == 2
    with pytest.raises(RecordError, match=r"of the train data; it has information_measures_test"):
        experiment.information_measures(part="train")
    with pytest.raises(RecordError, match="of the test data by edge"):
        experiment.information_measures("edge")


def test_information_measures_of_one_that_runs_are_those_measured_so_far(tmp_path):
    folder = tmp_path / "1"
    folder.mkdir()
    run = {
        "status": "RUNNING",
        "artifacts": [],
        "host": {"process": this_process()},
        "heartbeat": datetime.now(UTC).isoformat(),
    }
    (folder / "run.json").write_text(json.dumps(run))
    (folder / "config.json").write_text("{}")
    table = measures({"nested": {"depth": 1}})
    table.to_csv(folder / "information_measures_test.csv", index=False)
    experiment = ExperimentLoader(path=tmp_path).find_by_id(1)

    assert len(experiment.information_measures()) == len(table)
    assert experiment.artifacts == {}
    (folder / "run.json").write_text(json.dumps({**run, "status": "INTERRUPTED"}))
    with pytest.raises(MissingTableError, match="none at all"):
        experiment.information_measures()


@pytest.fixture
def experiment_of(tmp_path):
    """An experiment with tables of these estimators, by the name they are stored under."""

    def experiment_of(methods):
        folder = tmp_path / "1"
        folder.mkdir()
        tables = {
            "_".join(filter(None, ["information_measures", name, "test"])): method
            for name, method in methods.items()
        }
        run = {"status": "COMPLETED", "artifacts": list(tables)}
        (folder / "run.json").write_text(json.dumps(run))
        (folder / "config.json").write_text("{}")
        for name, method in tables.items():
            table = measures({"nested": {"depth": 1}}, method)
            table.to_csv(folder / f"{name}.csv", index=False)
        return ExperimentLoader(path=tmp_path).find_by_id(1)

    return experiment_of


@pytest.mark.parametrize(
    ("estimator", "methods"),
    [
        ("binning", ["binning"]),
        ("binning_global", ["binning (global)"]),
        ("binning (adaptive)", ["binning (adaptive)"]),
        ("edge", ["edge"]),
        ("edge_published", ["edge (published)"]),
        ("upper", ["upper", "upper", "upper"]),
        ("upper_0.1", ["upper"]),
        ("kraskov", ["kraskov"]),
        ("kraskov_3", ["kraskov"]),
        ("kraskov_3_algorithm_2", ["kraskov"]),
    ],
)
def test_of_estimators_with_similar_names_the_one_that_is_named_is_meant(
    experiment_of, estimator, methods
):
    experiment = experiment_of(
        {
            "binning": "binning",
            "binning_global": "binning (global)",
            "binning_adaptive_30": "binning (adaptive)",
            "edge": "edge",
            "edge_published": "edge (published)",
            "upper": "upper",
            "upper_0.1": "upper",
            "upper_1e-05": "upper",
            "kraskov_3_algorithm_2": "kraskov",
        }
    )

    found = experiment.information_measures(estimator)["estimator"]

    assert list(found[::12]) == methods


@pytest.mark.parametrize("estimator", ["binning_global", "binning (global)"])
def test_the_only_estimator_is_found_by_its_module_and_its_method(experiment_of, estimator):
    experiment = experiment_of({"": "binning (global)"})

    assert set(experiment.information_measures(estimator)["estimator"]) == {"binning (global)"}
    with pytest.raises(RecordError, match="by binning"):
        experiment.information_measures("binning")


@pytest.mark.parametrize("estimator", ["upper_0", "upper_0.", "kraskov_3_algorithm", "bin"])
def test_a_part_of_a_name_means_no_estimator(experiment_of, estimator):
    experiment = experiment_of({"upper_0.1": "upper", "kraskov_3_algorithm_2": "kraskov"})

    with pytest.raises(RecordError, match=f"of the test data by {estimator}"):
        experiment.information_measures(estimator)


def test_results_are_attached_afterwards(loader, tmp_path):
    experiment = loader.find_by_id(2)
    figure = Figure()
    figure.add_subplot().plot([0, 1])
    (tmp_path / "note.txt").write_text("a note")

    assert experiment.attach("curve", figure).content.startswith(b"\x89PNG")
    assert experiment.attach("table", pd.DataFrame({"a": [1]})).content["a"].tolist() == [1]
    experiment.attach("note", tmp_path / "note.txt")

    assert loader.find_by_id(2).artifacts["note"].content == b"a note"
    with pytest.raises(RecordError, match="has an artifact note already"):
        experiment.attach("note", tmp_path / "note.txt")
    with pytest.raises(RecordError, match="there is no such file"):
        experiment.attach("new", tmp_path / "absent.txt")
    with pytest.raises(TypeError, match="not a int"):
        experiment.attach("new", 3)


def test_deleting_asks_first(loader, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda question: "n")

    assert not loader.find_by_id(1).delete()
    assert loader.find_by_id(1).status == "COMPLETED"


def test_a_notebook_shows_config_and_pictures(loader):
    page = loader.find_by_id(1)._repr_html_()

    assert "<th>nested.depth</th><td>1</td>" in page
    assert 'title="infoplane_test"' in page


def test_nothing_is_stale(places, tmp_path):
    """What changes under an experiment in one's hands is seen at the next access."""
    shutil.copytree(places["local"]["path"], tmp_path / "runs")
    experiment = ExperimentLoader(path=tmp_path / "runs").find_by_id(1)
    metrics = tmp_path / "runs" / "1" / "metrics.json"

    metrics.write_text(metrics.read_text().replace("test.accuracy", "test.new"))
    assert "test.new" in experiment.metrics

    shutil.rmtree(tmp_path / "runs" / "1")
    with pytest.raises(RecordError, match="not there any more"):
        _ = experiment.status


def test_tags_are_replaced_and_found(loader):
    loader.find_by_id(1).tag("good", "seen")
    loader.find_by_id(2).tag("good")

    assert loader.find_by_id(1).tags == ("good", "seen")
    assert loader.find(tags="good").ids == [1, 2]
    assert loader.find(tags="seen").ids == [1]

    loader.find_by_id(1).tag()
    loader.find_by_id(2).tag()

    assert loader.find(tags="good").ids == []
