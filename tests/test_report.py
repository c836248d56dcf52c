"""The index page over stored experiments, parsed again."""

import base64
import io
import json
import xml.etree.ElementTree as ET

import pytest
from matplotlib.figure import Figure
from PIL import Image

from deep_bottleneck import report

CONFIG = {"epochs": 10, "activation_fn": "tanh", "seed": 1, "dataset": "datasets.harmonics"}


@pytest.fixture
def store(tmp_path):
    """Stores an experiment as the local record leaves it."""

    def store(name, artifacts=(), status="COMPLETED", result=None, **changes):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        for artifact in artifacts:
            Figure().savefig(folder / artifact)
        entry = {
            "status": status,
            "start_time": "2026-03-01T10:20:30",
            "heartbeat": "2026-03-01T10:30:00",
            "result": result,
            "artifacts": [artifact.removesuffix(".png") for artifact in artifacts],
            "experiment": {"name": "deep-bottleneck"},
        }
        (folder / "run.json").write_text(json.dumps(entry))
        (folder / "config.json").write_text(json.dumps({**CONFIG, **changes}))

    return store


@pytest.fixture
def table(tmp_path):
    """Writes the page, and gives the text of the table's cells and its rows as elements."""

    def table(output="report.html"):
        path = tmp_path / output
        report.main([str(tmp_path / "runs"), "-o", str(path)])
        text = path.read_text()
        content = text[text.index("<table id") : text.index("</table>") + 8]
        body = ET.fromstring(content)  # noqa: S314
        rows = body.findall(".//tr")
        return [[" ".join("".join(cell.itertext()).split()) for cell in row] for row in rows], rows

    return table


def test_what_differs_stands_first_and_the_seed_last_of_it(store, table, tmp_path):
    accuracy = {"train": 0.98765, "test": 0.9}
    store("2", result=accuracy, epochs=20, seed=2)
    store("10", status="FAILED", activation_fn="relu")

    (header, *rows), _ = table()

    assert header[:4] == ["id", "activation_fn", "epochs", "seed"]
    assert header[4:] == [
        "plane",
        "status",
        "accuracy (train)",
        "accuracy (test)",
        "started",
        "files",
    ]
    assert rows == [
        ["2", "tanh", "20", "2", "", "COMPLETED", "0.9877", "0.9000", "2026-03-01 10:20", ""],
        ["10", "relu", "10", "1", "", "FAILED", "", "", "2026-03-01 10:20", ""],
    ]
    page = (tmp_path / "report.html").read_text()
    assert "<h1>2 experiments</h1>" in page
    assert "<tr><th>dataset</th><td>datasets.harmonics</td></tr>" in page


def test_a_small_plane_of_the_test_data_and_links_relative_to_the_page(store, table, tmp_path):
    store("1", ["infoplane_train.png", "infoplane_test.png", "trust_plot_test.png"])
    (tmp_path / "pages").mkdir()

    _, (_, row) = table("pages/report.html")

    picture = row.find(".//img")
    small = base64.b64decode(picture.get("src").removeprefix("data:image/png;base64,"))
    assert picture.get("alt") == "infoplane_test"
    assert Image.open(io.BytesIO(small)).width == 240
    links = [link.get("href") for link in row.iter("a")]
    assert links[0] == "../runs/1/infoplane_test.png"
    assert all((tmp_path / "pages" / link).resolve().is_file() for link in links)
    assert len(links) == 1 + 3


def test_values_cannot_become_markup(store, table):
    store("1", dataset="<script>")
    store("2")

    (header, *rows), _ = table()

    assert [row[header.index("dataset")] for row in rows] == ["<script>", "datasets.harmonics"]


def test_an_experiment_that_cannot_be_read_is_left_out(store, table, tmp_path):
    store("1")
    store("2", epochs=20)
    (tmp_path / "runs" / "2" / "run.json").write_text("{")

    (_, *rows), _ = table()

    assert [row[0] for row in rows] == ["1"]


def test_results_and_pictures_that_are_not_what_they_should_be_are_left_out(
    store, table, tmp_path, caplog
):
    store("1", ["infoplane_test.png"], result={"train": None, "test": "high"})
    picture = tmp_path / "runs" / "1" / "infoplane_test.png"
    whole = picture.read_bytes()

    for broken in (b"not a PNG", whole[:-500], whole[:50]):
        picture.write_bytes(broken)
        (header, row), (_, shown) = table()

        assert row[header.index("accuracy (train)")] == row[header.index("accuracy (test)")] == ""
        assert shown.find(".//img") is None
        assert [link.text for link in shown.iter("a")] == ["infoplane_test"]
    assert "1/infoplane_test.png is no picture that can be read" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{}/none"], "none is no folder: there is no local record"),
        (["{}/runs"], "runs holds no experiment"),
        (["{}/one", "-o", "{}/no/report.html"], "no/report.html cannot be written"),
    ],
)
def test_mistakes_end_in_one_sentence(store, tmp_path, capsys, arguments, message):
    store("1")
    (tmp_path / "runs").rename(tmp_path / "one")
    (tmp_path / "runs").mkdir()

    with pytest.raises(SystemExit) as stopped:
        report.main([argument.format(tmp_path) for argument in arguments])

    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
