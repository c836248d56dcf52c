import numpy as np

from deep_bottleneck.training.batches import Batches


def test_an_epoch_is_one_pass_over_the_examples():
    batches = Batches(n_examples=10, batch_size=4, steps_per_epoch=None, seed=0)

    assert [(s.start, s.stop) for s in batches.slices] == [(0, 4), (4, 8), (8, 10)]
    assert sorted(batches.order(run=0, epoch=0)) == list(range(10))


def test_steps_per_epoch_cut_an_epoch_or_go_around_again():
    short = Batches(n_examples=10, batch_size=4, steps_per_epoch=1, seed=0)
    long = Batches(n_examples=10, batch_size=4, steps_per_epoch=5, seed=0)

    assert len(short.order(0, 0)) == 4
    assert len(long.slices) == 5
    assert np.bincount(long.order(0, 0)).tolist() == [2] * 10


def test_order_depends_on_seed_run_and_epoch_alone():
    batches = Batches(100, 10, None, seed=1)

    np.testing.assert_array_equal(batches.order(3, 7), Batches(100, 10, None, 1).order(3, 7))
    np.testing.assert_array_equal(batches.orders([5, 3], 7)[1], batches.order(3, 7))
    for other in (batches.order(4, 7), batches.order(3, 8), Batches(100, 10, None, 2).order(3, 7)):
        assert not np.array_equal(batches.order(3, 7), other)
