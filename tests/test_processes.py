import os
import subprocess
import time
from pathlib import Path

from deep_bottleneck import processes
from deep_bottleneck.processes import is_gone, this_process


def test_a_process_that_runs_is_not_gone():
    assert not is_gone(this_process())


def test_a_process_that_has_ended_is_gone(ended_process):
    assert is_gone(ended_process)


def test_a_process_that_nobody_has_asked_how_it_ended_is_gone():
    with subprocess.Popen(["true"], stdout=subprocess.PIPE) as process:
        process.stdout.read()
        name = this_process().replace(f"/{os.getpid()}", f"/{process.pid}")
        while not is_gone(name):
            time.sleep(0.01)


def test_of_a_process_elsewhere_nothing_is_known(ended_process):
    machine, numbers, number = ended_process.split("/")

    assert not is_gone(f"another-machine/{numbers}/{number}")
    assert not is_gone(f"{machine}/another-container/{number}")


def test_without_proc_nothing_is_known(ended_process, monkeypatch):
    monkeypatch.setattr(processes, "_BOOT", Path("/nowhere"))

    assert this_process() == ""
    assert not is_gone("")
    assert not is_gone(ended_process)


def test_a_process_of_somebody_else_is_there(monkeypatch):
    def refuse(number, signal):
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)

    assert not is_gone(this_process())
