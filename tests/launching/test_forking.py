import os
import signal
import sys
from pathlib import Path

import pytest

import deep_bottleneck
from deep_bottleneck.launching.forking import ForkServer, is_of_this_package

ROOT = Path(deep_bottleneck.__file__).resolve().parents[1]
SCRIPT = """
import os, sys
print(__name__, sys.argv[1:], os.environ["WORD"], "keras" in sys.modules)
print("mistake", file=sys.stderr)
os.environ["WORD"] = "changed"
sys.exit(int(sys.argv[1]))
"""
WAITING = "import time; print('waits', flush=True); time.sleep(60)"


@pytest.fixture(scope="module")
def server():
    return ForkServer()


@pytest.fixture
def start(server, tmp_path):
    """Starts a script with a word in its environment; gives the fork and its log."""

    def start(script, *arguments, word="hello"):
        path, log = tmp_path / "script.py", tmp_path / "log"
        path.write_text(script)
        environment = {**os.environ, "WORD": word}
        return server.start([sys.executable, str(path), *arguments], environment, log), log

    return start


@pytest.mark.parametrize("status", [0, 3])
def test_a_script_runs_as_if_it_were_started_anew(start, status):
    before = dict(os.environ)

    for word in ("one", "another"):
        fork, log = start(SCRIPT, str(status), word=word)

        assert fork.wait() == status
        assert log.read_text().splitlines() == [f"__main__ ['{status}'] {word} True", "mistake"]
    assert dict(os.environ) == before


def test_one_that_crashes_or_is_killed_takes_nothing_with_it(start):
    crashed, _ = start("import os; os.abort()")
    assert crashed.wait() == -signal.SIGABRT

    killed, log = start(WAITING)
    while "waits" not in (log.read_text() if log.exists() else ""):
        pass
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    killed.send_signal(signal.SIGTERM)

    assert start(SCRIPT, "0")[0].wait() == 0


def test_a_script_of_another_package_is_none_to_fork_for(tmp_path):
    assert is_of_this_package(ROOT / "experiment.py")
    assert not is_of_this_package(tmp_path / "experiment.py")
