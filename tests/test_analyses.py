"""Each analysis of the documentation runs, and shows what its text says."""

import hashlib
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import scipy.io

ANALYSES = Path(__file__).resolve().parent.parent / "docs" / "analyses"
CELL = re.compile(r"```{code-cell} python3\n(?::.*\n)*(.*?)```", re.DOTALL)


@pytest.fixture
def shown(monkeypatch):
    """Runs the cells of an analysis and returns the numbers that its text shows."""

    def run(name):
        text = (ANALYSES / f"{name}.md").read_text()
        numbers = {}

        def glue(key, value, display):
            numbers[key] = value

        monkeypatch.setitem(sys.modules, "myst_nb", SimpleNamespace(glue=glue))
        names = {}
        with mpl.rc_context({"backend": "agg"}):
            for number, source in enumerate(CELL.findall(text)):
                exec(compile(source, f"{name}.md, cell {number}", "exec"), names)  # noqa: S102
        plt.close("all")
        assert set(re.findall(r"{glue:text}`(\w+)", text)) == numbers.keys()
        return SimpleNamespace(**numbers)

    return run


def test_minimal_model_compresses_where_bounded_on_both_sides(shown):
    model = shown("minimal_model")

    assert model.deviation < 0.002
    assert model.compress_global == "tanh, sigmoid, softsign, hard_sigmoid, relu6"
    assert model.only_per_weight == "softplus, selu, elu"
    assert model.flat == "relu, leaky_relu, linear"
    assert model.relu_peak - model.relu_last > 1
    expected = 31 / 60 * np.log2(60 / 31) + 29 / 60 * np.log2(60)
    assert model.uniform_relu == pytest.approx(expected, abs=1e-3)


def test_harmonics_reproduce_every_published_label(shown, data_folder):
    found = shown("harmonics")

    assert (found.same, found.differing) == ("the same", 0)
    assert (found.n_rotations, found.n_orbits, found.n_mixed) == (60, 96, 0)
    published = scipy.io.loadmat(data_folder / "var_u.mat")["y"].ravel().astype(bool)
    digest = hashlib.sha256(np.packbits(published).tobytes()).hexdigest()
    assert digest in (ANALYSES / "harmonics.md").read_text()
