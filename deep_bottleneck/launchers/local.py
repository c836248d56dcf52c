"""Runs experiments here, one after the other, each in a process of its own.

A process of its own gives each experiment the backend its config asks for, and keeps one that
crashes from taking the others with it.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from deep_bottleneck.errors import EXIT_STATUS
from deep_bottleneck.interfaces import Job, Launcher, Outcome
from deep_bottleneck.settings import REPORT_VARIABLE

logger = logging.getLogger(__name__)


def load(experiment_script: Path) -> Launcher:
    """A launcher that starts the script for each experiment and waits for it."""
    return LocalLauncher(experiment_script)


class LocalLauncher:
    """One experiment at a time on this machine."""

    def __init__(self, experiment_script: Path) -> None:
        self._script = experiment_script

    def launch(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Run all jobs; Ctrl-C ends the current one and starts no more."""
        outcomes: list[Outcome] = []
        for job in jobs:
            if outcomes and outcomes[-1].status == "INTERRUPTED":
                outcomes.append(Outcome(job, None, "NOT STARTED", 0.0))
                continue
            logger.info("Starting %s", job.name)
            outcomes.append(self._run(job))
        return outcomes

    def _run(self, job: Job) -> Outcome:
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.json"
            start = time.monotonic()
            exit_status = self._start_and_wait(job, report)
            seconds = time.monotonic() - start
            told = json.loads(report.read_text()) if report.exists() else {}
        status = told.get("status", "INVALID" if exit_status == EXIT_STATUS else "FAILED")
        if status == "RUNNING":
            logger.error("%s ended with exit status %d in the middle", job.name, exit_status)
            status = "FAILED"
        return Outcome(job, told.get("id"), status, seconds)

    def _start_and_wait(self, job: Job, report: Path) -> int:
        command = [sys.executable, str(self._script), f"--name={job.config.stem}"]
        command += ["with", str(job.config), *job.updates]
        environment = {**os.environ, REPORT_VARIABLE: str(report)}
        with subprocess.Popen(command, env=environment) as process:  # noqa: S603
            while True:
                try:
                    return process.wait()
                except KeyboardInterrupt:
                    logger.info("Interrupted; waiting for the experiment to store what it has.")
