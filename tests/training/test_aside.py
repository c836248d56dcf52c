"""Work in a thread beside training."""

import threading

import pytest
import torch

from deep_bottleneck.training.aside import Aside


@pytest.fixture
def aside():
    made = Aside("test")
    yield made
    made.end()


def test_the_caller_goes_on_until_it_brings_the_next_piece(aside):
    goes_on, done = threading.Event(), []

    def work(name):
        assert goes_on.wait(timeout=60)
        done.append(name)

    aside.start(work, "first")
    before = list(done)
    goes_on.set()
    aside.start(work, "second")
    aside.settle()

    assert before == []
    assert done == ["first", "second"]


def test_what_goes_wrong_is_raised_once_at_the_next_occasion(aside):
    def fail():
        raise OSError("no space")

    aside.start(fail)

    with pytest.raises(OSError, match="no space"):
        aside.start(fail)
    aside.settle()


def test_it_has_as_many_threads_as_its_caller(aside):
    found = []

    aside.start(lambda: found.append(torch.get_num_threads()))
    aside.settle()

    assert found == [torch.get_num_threads()]
