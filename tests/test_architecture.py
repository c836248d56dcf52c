"""The arrows between modules point one way, and nothing happens at import."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "deep_bottleneck"
FILES = sorted(PACKAGE.rglob("*.py"))
PLUG_INS = ("datasets", "models", "mi_estimator", "callbacks", "plotter", "launchers")
KNOW_SACRED = {"storage"}


def imports(path: Path) -> set[str]:
    """All modules that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def ours(path: Path) -> set[str]:
    prefix = "deep_bottleneck."
    return {name.removeprefix(prefix) for name in imports(path) if name.startswith(prefix)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_arrows_point_one_way(path):
    relative = path.relative_to(PACKAGE)
    kind = relative.parts[0]
    used = ours(path)

    if kind == "interfaces.py":
        assert not used
    if kind == "information":
        assert all(name.startswith(("information", "interfaces")) for name in used)
    if kind in PLUG_INS:
        assert not {name.partition(".")[0] for name in used} & (set(PLUG_INS) - {kind})
        assert not any(name.startswith(("pipeline", "experiment")) for name in used)
    if kind not in KNOW_SACRED:
        assert not any(name.partition(".")[0] == "sacred" for name in imports(path))


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
