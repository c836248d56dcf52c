import copy
import threading
import tracemalloc

import numpy as np
import pytest

from deep_bottleneck.state_space import counter as counter_module
from deep_bottleneck.state_space.counter import StateCounter


def random_words(n_states: int, n_neurons: int, n_distinct: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    n_words = -(-n_neurons // 64)
    high = 2 ** min(n_neurons, 63)
    sources = generator.integers(0, high, (n_distinct, n_words))
    return sources[generator.integers(0, n_distinct, n_states)]


def table(words: np.ndarray) -> dict[tuple[int, ...], int]:
    states, counts = np.unique(words, axis=0, return_counts=True)
    return {tuple(state): count for state, count in zip(states.tolist(), counts, strict=True)}


def counted(counter: StateCounter) -> dict[tuple[int, ...], int]:
    states, counts = counter.table()
    return {tuple(state): count for state, count in zip(states.tolist(), counts, strict=True)}


@pytest.mark.parametrize("n_neurons", [3, 20, 21, 64, 65, 200])
def test_counts_of_many_batches_are_those_of_all_at_once(n_neurons, monkeypatch):
    monkeypatch.setattr(counter_module, "_FEWEST_PENDING_WORDS", 100)
    words = random_words(5000, n_neurons, 700)
    counter = StateCounter(n_neurons)

    for batch in np.array_split(words, 37):
        counter.add(batch)

    assert counted(counter) == table(words)
    assert counter.n_observed == 5000


@pytest.mark.parametrize("n_neurons", [8, 40, 100])
def test_counting_goes_on_after_a_look(n_neurons):
    words = random_words(300, n_neurons, 50)
    counter = StateCounter(n_neurons)

    counter.add(words[:100])
    assert counted(counter) == table(words[:100])
    counter.add(words[100:])
    assert counted(counter) == table(words)
    assert counter.counts().n_samples == 300


def test_a_bigger_batch_than_the_buffer_is_counted(monkeypatch):
    monkeypatch.setattr(counter_module, "_FEWEST_PENDING_WORDS", 10)
    words = random_words(1000, 40, 300)
    counter = StateCounter(40)

    counter.add(words)

    assert counted(counter) == table(words)


def test_states_that_differ_in_the_highest_bit_of_each_word_stay_apart():
    top = np.int64(-(2**63))
    words = np.array([[0, 0], [top, top], [top, 0], [0, top]], np.int64)
    counter = StateCounter(128)

    counter.add(words)

    assert len(counter.counts().counts) == 4


def test_two_states_of_any_two_flipped_neurons_stay_apart():
    flipped = np.array([(1 << i) | (1 << j) for i in range(128) for j in range(i)], dtype=object)
    words = np.array([[int(x) & (2**64 - 1), int(x) >> 64] for x in flipped], np.uint64)
    counter = StateCounter(128)

    counter.add(words.view(np.int64))

    assert len(counter.counts().counts) == 128 * 127 // 2


@pytest.mark.parametrize("n_neurons", [20, 50, 300])
def test_memory_does_not_grow_with_repeats(n_neurons):
    words = random_words(100_000, n_neurons, 200)
    counter = StateCounter(n_neurons)
    for _ in range(12):
        counter.add(words)
    tracemalloc.start()

    for _ in range(30):
        counter.add(words)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert kept < 2e6 < 30 * words.nbytes


def test_threads_lose_nothing():
    words = random_words(2000, 30, 100)
    counter = StateCounter(30)
    threads = [
        threading.Thread(target=lambda: [counter.add(words) for _ in range(20)]) for _ in range(8)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert counted(counter) == {state: 160 * count for state, count in table(words).items()}


def test_a_copy_counts_on_its_own():
    counter = StateCounter(8)
    counter.add(random_words(10, 8, 3))

    twin = copy.deepcopy(counter)
    twin.add(random_words(5, 8, 3))

    assert (counter.n_observed, twin.n_observed) == (10, 15)


def test_a_reset_forgets():
    counter = StateCounter(8)
    counter.add(random_words(10, 8, 3))
    counter.reset()
    counter.add(random_words(4, 8, 2, seed=1))

    assert counted(counter) == table(random_words(4, 8, 2, seed=1))
