import numpy as np

from deep_bottleneck.training.schedule import default_schedule, due_runs


def test_recording_thins_out():
    due = [epoch for epoch in range(2300) if default_schedule(epoch)]

    assert due[:50] == list(range(50))
    assert due[50:75] == list(range(50, 100, 2))
    assert due[75:170] == list(range(100, 2000, 20))
    assert due[170:] == [2000, 2100, 2200]


def test_runs_that_end_are_due_at_any_epoch():
    stopping = np.array([False, True, False])

    assert due_runs(default_schedule, 51, stopping).tolist() == [1]
    assert due_runs(default_schedule, 52, stopping).tolist() == [0, 1, 2]
