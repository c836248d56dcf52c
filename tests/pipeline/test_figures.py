import re

import pandas as pd
import pytest
from matplotlib.figure import Figure

from deep_bottleneck.errors import ConfigError
from deep_bottleneck.interfaces import Results
from deep_bottleneck.pipeline.figures import store_figures


class Note:
    suffix = ".txt"

    def save(self, path):
        path.write_text("drawn")


class Plotter:
    def plot(self, results):
        return {"plane": Figure(), "note": Note()}


class Record:
    def __init__(self):
        self.artifacts = {}

    def add_artifact(self, filename, name):
        self.artifacts[name] = filename


def test_figures_are_stored_as_png_and_other_drawings_as_they_save_themselves(tmp_path):
    record = Record()

    store_figures([Plotter()], Results({}, pd.DataFrame()), record, tmp_path)

    assert record.artifacts == {
        "plane": str(tmp_path / "plane.png"),
        "note": str(tmp_path / "note.txt"),
    }
    assert (tmp_path / "plane.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "note.txt").read_text() == "drawn"


def test_drawings_of_one_name_are_told_apart(tmp_path):
    record = Record()

    store_figures([Plotter(), Plotter()], Results({}, pd.DataFrame()), record, tmp_path)

    assert list(record.artifacts) == ["plane", "note", "plane_2", "note_2"]
    assert (tmp_path / "plane_2.png").exists()


def test_what_is_there_already_stays(tmp_path):
    record = Record()

    store_figures([Plotter()], Results({}, pd.DataFrame()), record, tmp_path, known=["note"])

    assert list(record.artifacts) == ["plane"]


@pytest.mark.parametrize(
    ("known", "missing"),
    [(["plane", "note"], ["plane_svg"]), (["plane_svg", "note"], ["plane"])],
)
def test_of_a_figure_and_its_svg_the_one_that_is_missing_is_stored(tmp_path, known, missing):
    record = Record()

    store_figures([Plotter()], Results({}, pd.DataFrame()), record, tmp_path, known, svg=True)

    assert list(record.artifacts) == missing


class Mistaken:
    def __init__(self, gives):
        self.gives = gives

    def plot(self, results):
        return self.gives


@pytest.mark.parametrize(
    ("gives", "sentence"),
    [
        (None, "gave nothing (None), expected a mapping of drawings by their names"),
        (Figure(), "gave a Figure, expected a mapping of drawings by their names"),
        ([Figure()], "gave a list, expected a mapping"),
        ({"plane": None}, "gave nothing (None) as 'plane', expected a Matplotlib figure"),
        ({3: Figure()}, "gave a Figure as 3, expected a Matplotlib figure, or"),
    ],
)
def test_what_is_no_drawing_is_one_sentence_and_others_draw(tmp_path, gives, sentence):
    record = Record()

    with pytest.raises(ConfigError, match=re.escape(f"plot() of test_figures.Mistaken {sentence}")):
        store_figures([Mistaken(gives), Plotter()], Results({}, pd.DataFrame()), record, tmp_path)

    assert list(record.artifacts) == ["plane", "note"]


def test_a_plotter_that_fails_is_named(tmp_path):
    class Failing(Plotter):
        def plot(self, results):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as error:
        store_figures([Failing()], Results({}, pd.DataFrame()), Record(), tmp_path)

    (note,) = error.value.__notes__
    assert "The plotter is test_figures" in note
