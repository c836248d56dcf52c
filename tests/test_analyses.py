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

# they compute in float64, as the documentation does
pytestmark = pytest.mark.backend("torch")
ANALYSES = Path(__file__).resolve().parent.parent / "docs" / "analyses"
CELL = re.compile(r"```{code-cell} python3\n(?::[^\n]*\n)*(.*?)```", re.DOTALL)


@pytest.fixture
def shown(monkeypatch):
    """Runs the cells of an analysis and returns the numbers that its text shows."""

    def run(name):
        text = (ANALYSES / f"{name}.md").read_text()
        numbers = {}

        def glue(key, value, display):
            numbers[key] = value

        monkeypatch.setitem(sys.modules, "myst_nb", SimpleNamespace(glue=glue))
        monkeypatch.syspath_prepend(ANALYSES)
        sys.modules.pop("shared", None)
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
    # what docs/results/cohort_10.md says of the two parts
    assert round(found.majority_train, 1) == 87.8
    assert round(found.majority_test, 1) == 86.4
    published = scipy.io.loadmat(data_folder / "var_u.mat")["y"].ravel().astype(bool)
    digest = hashlib.sha256(np.packbits(published).tobytes()).hexdigest()
    assert digest in (ANALYSES / "harmonics.md").read_text()


def test_entropy_is_lost_as_the_slope_says(shown):
    lost = shown("entropy_lost")

    assert lost.deviation < 0.01
    assert lost.sigmoid_small == pytest.approx(2, abs=0.01)
    assert lost.leaky_relu == pytest.approx(0.5 * np.log2(5), abs=0.01)
    assert lost.selu < 0
    assert (lost.before, lost.sign_left) == (16, 1)
    assert lost.relu_left == lost.relu_expected == 8.5
    assert lost.tanh_is_one == pytest.approx(9.01, abs=0.01)
    assert lost.tanh_stored > 15.99
    assert lost.at_most < 1.5


@pytest.mark.slow
def test_weighted_binning_undoes_scale_but_not_correlation(shown):
    found = shown("weighted_binning")

    assert found.deviation < 0.02
    assert found.turned_standard == pytest.approx(found.shrink, abs=0.05)
    assert found.turned_weighted < 0.01
    assert found.sheared_weighted == pytest.approx(found.hadamard, abs=0.05)
    assert found.exact_share == found.fixed_fine == found.adaptive_fine == 0
    assert min(found.fixed_coarse, found.adaptive_coarse, found.noisy_coarse) > 30


@pytest.mark.slow
def test_the_parameter_decides_what_is_measured(shown):
    found = shown("measuring_information")

    assert found.monte_carlo < 0.1
    assert found.widest < found.truth / 2 < 4 * found.truth < found.narrowest
    assert found.fits_to < 3 * found.fits_from
    assert found.few_neighbours == pytest.approx(found.truth, abs=0.1)
    assert found.different == pytest.approx(12)
    assert found.bins_least < 0.1 < 0.5 < found.bins_most
    assert found.noise_least < 0.1 < 0.5 < found.noise_most
    assert 0 < found.first_peak < found.last_peak < 50
    assert 2 < found.n_peaks < 12


def test_edge_overestimates_with_its_published_bandwidths(shown):
    found = shown("edge")

    assert found.single == pytest.approx(found.by_hand)
    for dimension in (1, 2, 5):
        assert getattr(found, f"calibrated_{dimension}_chance") < 0.02
        assert getattr(found, f"published_{dimension}_chance") > 1
    assert found.calibrated_1_strong == pytest.approx(found.truth_1, abs=0.1)
    assert found.calibrated_5_strong < found.truth_5 / 2
    assert found.calibrated_many == pytest.approx(found.truth_1, abs=0.05)
    assert found.published_many > 2 * found.truth_1


@pytest.mark.slow
def test_a_transformer_groks_long_after_it_knows_by_heart(shown):
    found = shown("grokking")

    assert found.by_heart < 200 < 400 < found.understood
    assert found.others_then < 10
    assert found.others_last > 60
    assert found.attention_last < found.attention_heart - 1
    assert found.chance > 1
    assert found.undersampled > 90
