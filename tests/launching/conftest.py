import json
import sys

import pytest

from deep_bottleneck.interfaces import Job, LaunchOptions
from deep_bottleneck.launching.submission import Submission


@pytest.fixture
def options(tmp_path):
    """A launch of some experiments into the test's folder."""
    return LaunchOptions(
        experiment_script=tmp_path / "framework" / "experiment.py",
        name="sweep",
        output=tmp_path / "output",
        runs=tmp_path / "runs",
    )


@pytest.fixture
def jobs(tmp_path):
    return [Job(f"sweep_{n}", tmp_path / "configs" / f"sweep_{n}.json") for n in range(1, 5)]


@pytest.fixture
def submission(options, jobs):
    """A launch of four experiments."""
    submission = Submission.create(options, "launchers.slurm", jobs)
    submission.write()
    return submission


@pytest.fixture
def tell(submission):
    """Reports of a task as its experiment writes them."""

    def tell(number, status, of=submission, **told):
        report = {"id": str(10 + number), "epoch": None, "epochs": 20, "error": "", **told}
        of.report_path(number).write_text(json.dumps({**report, "status": status}))

    return tell


@pytest.fixture
def own_launcher(tmp_path, monkeypatch):
    """Writes the module of a launcher of our own, that says this beside its `load`."""
    (tmp_path / "our_lab").mkdir()
    monkeypatch.syspath_prepend(tmp_path)

    def own_launcher(said):
        text = f"def load(options):\n    raise AssertionError\n{said}\n"
        (tmp_path / "our_lab" / "launcher.py").write_text(text)
        return "our_lab.launcher"

    yield own_launcher
    for name in ("our_lab", "our_lab.launcher"):
        sys.modules.pop(name, None)
