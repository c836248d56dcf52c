import pandas as pd
import pytest
from matplotlib.figure import Figure

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
