"""A database behind a slow, silent or torn network: training does not wait for it."""

import pytest
from faults import DATABASE, assert_complete, said_by_storage
from mongo_proxy import Network, listening, port_of

from deep_bottleneck.eval_tools import ExperimentLoader
from deep_bottleneck.storage import mongo
from deep_bottleneck.storage.__main__ import main
from deep_bottleneck.storage.observers import background


@pytest.fixture
def network(server, monkeypatch):
    """What lies between the experiment and the server; the tools know this way alone."""
    with listening(Network(port_of(server.uri))) as network:
        monkeypatch.setenv("MONGO_URI", network.uri)
        yield network


@pytest.fixture
def assert_kept(server, network, tmp_path, capsys):
    """The experiment is complete here, and there as well once the network is mended."""

    def check():
        assert_complete(ExperimentLoader(path=tmp_path / "runs").find_by_id(1))
        network.mend()
        assert main(["sync"]) == 0
        assert_complete(ExperimentLoader(server.uri, DATABASE).find_by_id(1))
        capsys.readouterr()
        assert main(["sync"]) == 0
        assert "0 of 1 experiments had something to move" in capsys.readouterr().out

    return check


def test_a_slow_network_is_waited_for_at_the_end_alone(
    server, network, experiment, caplog, tmp_path
):
    network.delay = 0.05

    # the file of an artifact need not outlast the moment in which it is added
    experiment(network.uri, at_end=(tmp_path / "after.bin").unlink)

    assert not said_by_storage(caplog)
    assert_complete(ExperimentLoader(server.uri, DATABASE).find_by_id(1))


def test_a_network_that_falls_silent_is_not_waited_for(
    network, experiment, monkeypatch, caplog, assert_kept
):
    monkeypatch.setattr(background, "FINISH_WITHIN", 0.5)
    said_in_training = []

    experiment(
        network.uri,
        fault=network.fall_silent,
        at_end=lambda: said_in_training.extend(said_by_storage(caplog)),
    )

    # what is said of the database is said after its time-out
    assert not said_in_training
    (sentence,) = said_by_storage(caplog)
    assert "has not taken all within 0.5 seconds; the experiment goes on" in sentence
    assert "storage sync" in sentence
    assert_kept()


def test_a_database_that_does_not_answer_any_more_is_given_up(
    network, experiment, monkeypatch, caplog, assert_kept
):
    with monkeypatch.context() as patched:
        patched.setattr(mongo, "STALL_AFTER_MS", 300)
        experiment(network.uri, fault=network.fall_silent)

    (sentence,) = said_by_storage(caplog)
    assert "does not answer (" in sentence
    assert_kept()


def test_a_connection_that_is_cut(network, experiment, caplog, assert_kept):
    experiment(network.uri, fault=network.cut)

    (sentence,) = said_by_storage(caplog)
    assert "does not answer (" in sentence
    assert_kept()


def test_a_server_that_takes_connections_and_says_nothing(
    network, experiment, monkeypatch, caplog, assert_kept
):
    monkeypatch.setattr(mongo, "REACH_WITHIN_MS", 500)
    network.fall_silent()

    experiment(network.uri)

    (sentence,) = said_by_storage(caplog)
    assert "cannot be used (it did not answer within 0.5 seconds)" in sentence
    monkeypatch.setattr(mongo, "REACH_WITHIN_MS", 3000)
    assert_kept()
