"""Nothing happens at import."""

import os
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "deep_bottleneck"
FILES = sorted(PACKAGE.rglob("*.py"))


def test_importing_everything_leaves_no_trace(tmp_path):
    """No file, no seed, no database: in an empty folder, with the network closed."""
    modules = [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in FILES
    ]
    script = f"""
import random, socket, importlib
import numpy, torch, keras, sacred
def refuse(*args): raise AssertionError("a connection at import")
socket.socket.connect = refuse
def states():
    return random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
before = states()
for name in {modules!r}:
    importlib.import_module(name)
assert before == states()
"""
    command = [sys.executable, "-c", script]
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    result = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )

    assert result.returncode == 0, result.stderr
    assert not list(tmp_path.iterdir())
