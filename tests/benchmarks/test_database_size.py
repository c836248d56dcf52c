import json

import pytest

from benchmarks.database_size import Size, measured
from benchmarks.mongo_server import mongo_server


@pytest.fixture
def record(tmp_path):
    """An experiment with a metric, an artifact and a source."""
    folder = tmp_path / "runs" / "1"
    folder.mkdir(parents=True)
    (folder.parent / "_sources").mkdir()
    (folder.parent / "_sources" / "code_0.py").write_text("answer = 42")
    run = {
        "status": "COMPLETED",
        "start_time": "2026-01-31T10:15:00",
        "experiment": {"sources": [["code.py", "_sources/code_0.py"]]},
        "artifacts": ["table"],
    }
    metric = {"steps": [0], "values": [0.5], "timestamps": ["2026-01-31T10:15:01"]}
    (folder / "run.json").write_text(json.dumps(run))
    (folder / "config.json").write_text('{"seed": 1}')
    (folder / "metrics.json").write_text(json.dumps({"loss": metric}))
    (folder / "table.csv").write_text("a,b\n1,2\n")
    return folder


def test_each_copy_counts_and_what_they_share_does_not(record, tmp_path):
    (tmp_path / "mongo").mkdir()
    with mongo_server(tmp_path / "mongo") as server:
        sizes = measured(record, tmp_path / "copies", server, 3)

    length = sum(path.stat().st_size for path in record.iterdir())
    assert sizes["folder"] == Size(4, length)
    assert sizes["folder *.csv"] == Size(1, len("a,b\n1,2\n"))
    collections = {"fs.chunks", "fs.files", "metrics", "runs"}
    assert {name: size.number for name, size in sizes.items() if name.startswith("c")} == {
        f"collection {name}": 1 for name in collections
    }
    assert sizes["server"].length > 0


def test_a_sweep_is_as_large_as_its_experiments():
    size = Size(15, 3000)

    assert size.times(2000) == Size(30_000, 6_000_000)
    assert str(size.times(2000)).split() == ["30,000", "5.7", "MiB"]
