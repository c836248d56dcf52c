"""Each notebook runs from top to bottom."""

import os
from pathlib import Path

import nbclient
import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_from_top_to_bottom(path, data_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("DEEP_BOTTLENECK_DATA", str(data_folder))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("DEEP_BOTTLENECK_RUNS", str(tmp_path / "runs"))
    # the folder of a notebook is where Jupyter runs it
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (path.parent.parent, path.parent))))
    notebook = nbformat.read(path, as_version=4)

    nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()

    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert any(cell.outputs for cell in cells)
