"""One word for how an experiment is doing, wherever it is stored, asked for or shown."""

import json

import pytest

from deep_bottleneck.interfaces import State, Status
from deep_bottleneck.training.preemption import TimeIsUp


@pytest.mark.parametrize(
    ("status", "word"), [(Status.COMPLETED, "COMPLETED"), (Status.NOT_STARTED, "NOT STARTED")]
)
def test_a_status_is_the_word_that_is_stored(status, word):
    assert status == word
    assert f"{status}" == word
    assert json.dumps({"status": status}) == json.dumps({"status": word})


def test_what_ends_an_experiment_in_time_tells_sacred_such_a_word():
    assert TimeIsUp.STATUS == Status.TIMEOUT


def test_a_task_is_in_the_state_of_its_experiment_or_in_one_of_its_own():
    of_experiments = {status.lower() for status in Status} & set(State)

    assert of_experiments == set(State) - {"unknown", "cancelled", "resubmitted"}
    assert {"queued", "running", "completed", "failed", "lost"} <= of_experiments
