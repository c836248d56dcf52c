"""What the tests of faults look at."""

import time

from deep_bottleneck.eval_tools import ExperimentLoader

DATABASE = "faults"


def assert_complete(experiment, size=1000):
    assert experiment.status == "COMPLETED"
    assert experiment.result == {"test": 0.75}
    assert experiment.metrics["test.accuracy"].tolist() == [0.5, 0.75]
    assert experiment.artifacts["before"].read() == b"a" * 1000
    assert experiment.artifacts["after"].read() == b"b" * size


def said_by_storage(caplog):
    return [r.getMessage() for r in caplog.records if r.name.startswith("deep_bottleneck.storage")]


def wait_for_copy(server):
    """Until the database has the first metric of an experiment that runs."""
    store = ExperimentLoader(server.uri, DATABASE).store
    while not store.metrics([1])[1]:
        time.sleep(0.05)
