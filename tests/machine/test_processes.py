import os
import subprocess
import time
from pathlib import Path

import pytest

from deep_bottleneck.machine import processes
from deep_bottleneck.machine.processes import is_alive, name_of, this_process


def test_a_process_that_runs_is_alive():
    assert is_alive(this_process()) is True


def test_a_process_that_has_ended_is_not(ended_process):
    assert is_alive(ended_process) is False


def test_a_process_that_nobody_has_asked_how_it_ended_is_not():
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        name = name_of(process.pid)
        assert is_alive(name) is True
        process.stdin.close()
        while is_alive(name):
            time.sleep(0.01)
        assert process.returncode is None


def test_another_process_that_has_been_given_the_number_is_told_from_it():
    place, _, start = this_process().rpartition("/")

    assert is_alive(f"{place}/{int(start) - 1}") is False


def test_of_a_process_elsewhere_nothing_is_known(ended_process):
    machine, numbers, number, start = ended_process.split("/")

    assert is_alive(f"another-machine/{numbers}/{number}/{start}") is None
    assert is_alive(f"{machine}/another-container/{number}/{start}") is None


def test_of_a_name_without_a_start_only_the_end_is_known(ended_process):
    assert is_alive(this_process().rpartition("/")[0]) is None
    assert is_alive(ended_process.rpartition("/")[0]) is False


@pytest.mark.parametrize("name", ["", "elsewhere", "vm:779", "a/b/c/d/e"])
def test_what_is_no_name_of_a_process_tells_nothing(name):
    assert is_alive(name) is None


def test_without_proc_nothing_is_known(ended_process, monkeypatch):
    monkeypatch.setattr(processes, "_BOOT", Path("/nowhere"))

    assert this_process() == ""
    assert is_alive("") is None
    assert is_alive(ended_process) is None


def test_a_process_of_somebody_else_is_there(monkeypatch):
    def refuse(number, signal):
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)

    assert is_alive(this_process()) is True
