import pytest
import sacred
from faults import DATABASE

from benchmarks.mongo_server import mongo_server
from deep_bottleneck.storage import observers


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A database server that may be killed; the environment names it."""
    (tmp_path / "server").mkdir()
    with mongo_server(tmp_path / "server") as server:
        monkeypatch.setenv("MONGO_URI", server.uri)
        monkeypatch.setenv("MONGO_DATABASE", DATABASE)
        monkeypatch.setenv("DEEP_BOTTLENECK_RUNS", str(tmp_path / "runs"))
        yield server


@pytest.fixture
def experiment(tmp_path):
    """Runs an experiment that meets a fault between two metrics and two artifacts."""

    def run(uri, fault=lambda: None, size=1000, at_end=lambda: None, runs=tmp_path / "runs"):
        ex = sacred.Experiment("small", save_git_info=False)
        settings = {"MONGO_URI": uri, "MONGO_DATABASE": DATABASE, "DEEP_BOTTLENECK_RUNS": str(runs)}
        ex.add_config(seed=0)
        ex.observers.extend(observers.configured(settings, tmp_path / "no such file"))
        (tmp_path / "before.bin").write_bytes(b"a" * 1000)
        (tmp_path / "after.bin").write_bytes(b"b" * size)

        @ex.main
        def main(_run):
            _run.log_scalar("test.accuracy", 0.5, 0)
            _run.add_artifact(str(tmp_path / "before.bin"), "before")
            _run._emit_heartbeat()
            fault()
            _run.log_scalar("test.accuracy", 0.75, 1)
            _run.add_artifact(str(tmp_path / "after.bin"), "after")
            _run._emit_heartbeat()
            at_end()
            return {"test": 0.75}

        return ex.run()

    return run
