"""The heart beats in a thread of its own, while the experiment stores artifacts."""

import json
import threading
from datetime import UTC, datetime

from deep_bottleneck.machine.whole_file import write_whole
from deep_bottleneck.storage import observers


def now():
    return datetime.now(UTC)


def test_a_beating_heart_tears_nothing(tmp_path):
    (record,) = observers.configured(
        {"DEEP_BOTTLENECK_RUNS": str(tmp_path / "runs")}, tmp_path / "no"
    )
    about = {"name": "x", "base_dir": ".", "sources": []}
    record.started_event(about, "run", {}, now(), {}, {}, None)
    path = tmp_path / "runs" / "1" / "run.json"
    (tmp_path / "a.txt").write_text("a")
    ended = threading.Event()

    def beat():
        while not ended.is_set():
            record.heartbeat_event(info={}, captured_out="log", beat_time=now(), result=None)

    heart = threading.Thread(target=beat)
    heart.start()
    for number in range(100):
        record.artifact_event(name=f"artifact_{number}", filename=str(tmp_path / "a.txt"))
        assert len(json.loads(path.read_text())["artifacts"]) == number + 1
    ended.set()
    heart.join()
    record.completed_event(stop_time=now(), result=None)

    assert not record.missing
    assert not [one for one in path.parent.iterdir() if "unfinished" in one.name]


def test_of_several_that_write_at_once_the_last_wins(tmp_path):
    contents = [f"{number}" * 100_000 for number in range(8)]
    writers = [threading.Thread(target=write_whole, args=(tmp_path / "a", one)) for one in contents]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert (tmp_path / "a").read_text() in contents
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
