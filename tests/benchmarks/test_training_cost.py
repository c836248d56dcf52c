import numpy as np
import pytest

from benchmarks.training_cost import GROWING, Machine, Work, ours, picture
from deep_bottleneck.models import feedforward


def test_work_is_counted_as_the_model_has_it():
    work = Work(examples=300, units=3, layers=2)
    weights = feedforward.load([3, 3], "tanh", "adam", 0.1, 12, 2).count_params()

    assert work.weights == weights
    assert work.operations == 2 * 3 * weights * 300
    # two steps of Adam, and 20 activations of each example
    assert work.moved == 4 * (7 * weights * 2 + 3 * 20 * 300)


def test_the_tighter_of_both_limits_counts():
    work = Work()

    assert Machine(work.operations, 10 * work.moved).least(work) == 1
    assert Machine(10 * work.operations, work.moved / 2).least(work) == 2


@pytest.mark.slow
def test_a_small_work_is_measured():
    assert ours(Work(runs=2, examples=300, units=3, layers=1), rounds=1) > 0


def test_each_thing_that_grows_has_a_panel():
    rows = [(name, size, 1.0, 0.5, 0.25) for name, sizes in GROWING.items() for size in sizes]

    panels = picture(rows).axes

    assert [axes.get_xlabel() for axes in panels] == list(GROWING)
    for axes, sizes in zip(panels, GROWING.values(), strict=True):
        np.testing.assert_array_equal(axes.lines[0].get_xdata(), sizes)
