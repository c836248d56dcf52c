"""What holds for every measure of similarity, of several runs at once as of one.

Each `Measure` of the package is found, so that a new one is held to this without being named here.
"""

import importlib
import inspect
import pkgutil

import numpy as np
import pytest

from deep_bottleneck import similarity
from deep_bottleneck.similarity import KernelCKA, Measure


def measures(kind=Measure):
    """Every measure of the package, as it is made without arguments."""
    for info in pkgutil.iter_modules(similarity.__path__):
        importlib.import_module(f"{similarity.__name__}.{info.name}")
    for each in kind.__subclasses__():
        if not inspect.isabstract(each) and not each.__name__.startswith("_"):
            yield each()
        yield from measures(each)


ALL = list(measures())
# pairs of copies, which have no distance, are pairs of the median as well
BY_DISTANCE_OF_PAIRS = (KernelCKA,)


@pytest.fixture(params=ALL, ids=lambda measure: type(measure).__name__)
def measure(request):
    return request.param


@pytest.fixture
def runs():
    """Two representations of three runs, which have something in common."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal((3, 60, 5))
    return x, np.tanh(x @ generator.standard_normal((5, 4)))


def test_the_number_of_a_run_is_its_own(measure, runs):
    x, y = runs
    alone = [measure(x[run], y[run]).item() for run in range(3)]
    x[1, 3, 2] = np.nan

    beside = measure(x, y).numpy()
    turned = measure(x[::-1].copy(), y[::-1].copy()).numpy()

    np.testing.assert_allclose(beside[[0, 2]], [alone[0], alone[2]], atol=1e-12)
    np.testing.assert_allclose(turned, beside[::-1], atol=1e-12)
    assert np.isnan(beside[1])
    assert len(set(alone)) == 3


def test_the_order_of_examples_does_not_matter(measure, runs):
    order = np.random.default_rng(1).permutation(60)
    x, y = runs

    np.testing.assert_allclose(measure(x[:, order], y[:, order]), measure(x, y), atol=1e-12)


def test_units_of_either_do_not_matter(measure, runs):
    x, y = runs

    np.testing.assert_allclose(measure(1000 * x, y / 50), measure(x, y), atol=1e-9)


@pytest.mark.parametrize("repeats", [2, 3])
def test_copies_of_all_examples_change_nothing(measure, runs, repeats):
    x, y = runs

    copied = measure(np.tile(x, (1, repeats, 1)), np.tile(y, (1, repeats, 1)))

    tolerance = 0.002 if isinstance(measure, BY_DISTANCE_OF_PAIRS) else 1e-9
    np.testing.assert_allclose(copied, measure(x, y), atol=tolerance)
