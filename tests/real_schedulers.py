"""Real schedulers on one node, which tests take turns at, and a place to launch from."""

import fcntl
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from deep_bottleneck.launching import follow_up

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_SECONDS = 600
ASK = {"sge": ["qstat", "-f"], "slurm": ["sinfo"]}
DAEMONS = {"sge": Path("/run/gridengine/execd.pid"), "slurm": Path("/run/slurmd.pid")}
OF_A_NODE = ("sge_execd", "sge_shepherd", "slurmd", "slurmstepd")


class Place:
    """Where experiments are launched, and what became of them."""

    def __init__(self, launcher, folder, plug_ins=None):
        folder.mkdir(exist_ok=True)
        self.launcher = launcher
        self.folder = folder
        self.plug_ins = plug_ins or folder
        self.output = folder / "output"

    def call(self, *arguments):
        own = {
            "DEEP_BOTTLENECK_RUNS": str(self.folder / "runs"),
            "DEEP_BOTTLENECK_OUTPUT": str(self.output),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(self.plug_ins),
        }
        return subprocess.run(
            [sys.executable, ROOT / "run_experiments.py", *arguments],
            cwd=self.folder,
            env={**os.environ, **own},
            capture_output=True,
            text=True,
        )

    def launch(self, config, *arguments):
        limit = [] if self.launcher == "local" else ["--resource", "time=00:20:00"]
        command = ["-d", config, "--launcher", self.launcher, *limit, *arguments]
        result = self.call(*command)
        assert result.returncode == 0, result.stderr
        return result

    def tasks(self):
        return [task for _, tasks in follow_up.states(self.output) for task in tasks]

    def states(self):
        return [task.state for task in self.tasks()]

    def wait_until(self, reached, seconds=PATIENCE_SECONDS):
        deadline = time.monotonic() + seconds
        while not reached(self.states()):
            assert time.monotonic() < deadline, self.call("--status").stdout
            time.sleep(1)

    def report(self):
        """What the experiment that runs has told of itself, None if there is none."""
        for submission, tasks in follow_up.states(self.output):
            for task in tasks:
                if task.state == "running" and task.experiment_id:
                    return submission.report(task.number)
        return None

    def trained_epochs(self):
        """How many epochs the experiment that runs has trained."""
        report = self.report()
        return 0 if report is None or report.epoch is None else report.epoch + 1

    def records(self):
        """By their hyperparameters, the folders of the experiments that are complete."""
        found = {}
        for path in self.folder.glob("runs/*/run.json"):
            if json.loads(path.read_text())["status"] == "COMPLETED":
                config = (path.parent / "config.json").read_text()
                assert config not in found
                found[config] = path.parent
        return found

    def tables(self):
        return {
            (config, path.name): path.read_bytes()
            for config, folder in self.records().items()
            for path in folder.glob("*.csv")
        }


class Node:
    """The only node of a test cluster, which can die and come back."""

    def __init__(self, daemon):
        self._daemon = daemon
        folder = Path("/proc") / daemon.read_text().strip()
        self._command = (folder / "cmdline").read_text().split("\0")[:-1]
        variables = (folder / "environ").read_text().split("\0")[:-1]
        self._environment = dict(variable.split("=", 1) for variable in variables)
        self.is_up = True

    def die(self, process):
        """Kill the execution daemon, an experiment's process and all that watches over it."""
        doomed = [int(self._daemon.read_text())]
        # of the name: machine, where its number is valid, number, start
        number = experiment = int(process.split("/")[2])
        while number > 1:
            if number == experiment or name_of(number) in OF_A_NODE:
                doomed.append(number)
            number = parent_of(number)
        self.is_up = False
        for number in doomed:
            subprocess.run(["kill", "-KILL", str(number)], check=False)

    def come_back(self):
        """Start the execution daemon as it was started before."""
        # in a session of its own, so that it outlives the tests
        subprocess.run(
            self._command,
            env=self._environment,
            cwd="/",
            check=True,
            timeout=60,
            start_new_session=True,
        )
        self.is_up = True


def name_of(process):
    return Path(f"/proc/{process}/comm").read_text().strip()


def parent_of(process):
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("PPid:"))


@pytest.fixture
def turn():
    """Lets one test at a time have the schedulers, whatever else is tested on this machine."""
    with (Path(tempfile.gettempdir()) / f"schedulers_{os.getuid()}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture
def scheduler(turn):
    """Takes the name of a scheduler that answers here."""

    def scheduler(name):
        try:
            subprocess.run(ASK[name], check=True, capture_output=True, timeout=20)
        except (OSError, subprocess.SubprocessError):
            pytest.skip(f"there is no {name} here that answers; .ci/run starts one")
        return name

    return scheduler


@pytest.fixture(params=["sge", "slurm"])
def place(request, tmp_path, scheduler):
    place = Place(scheduler(request.param), tmp_path)
    yield place
    place.call("--cancel")


@pytest.fixture
def node(place):
    """The node of a scheduler of our own; nobody kills one that others use."""
    daemon = DAEMONS[place.launcher]
    if os.geteuid() != 0 or not daemon.exists():
        pytest.skip(f"{daemon} is not the daemon of a test cluster of our own; .ci/run starts one")
    node = Node(daemon)
    yield node
    if not node.is_up:
        node.come_back()
