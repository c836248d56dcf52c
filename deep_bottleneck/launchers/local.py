"""Runs experiments here, one after the other or several at a time, each in a process of its own.

A process of its own gives each experiment the backend its config asks for, and keeps one that
crashes from taking the others with it. Where there are several, those on the default backend are
forks of a process that has imported the frameworks, which is most of what a small one takes.
"""

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from types import FrameType

from deep_bottleneck.config import Config, sweep
from deep_bottleneck.errors import EXIT_MISTAKE, ConfigError, DeepBottleneckError
from deep_bottleneck.interfaces import Job, Launcher, LaunchOptions, Outcome, Status
from deep_bottleneck.launching.forking import Fork, ForkServer, is_of_this_package
from deep_bottleneck.launching.submission import Submission, check_configs

logger = logging.getLogger(__name__)

WAITS = True
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
TENSORFLOW_VARIABLES = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


def load(options: LaunchOptions) -> Launcher:
    """A launcher that starts the script for each experiment and waits for it."""
    return LocalLauncher(options)


class LocalLauncher:
    """Experiments on this machine."""

    def __init__(self, options: LaunchOptions) -> None:
        self._options = options
        self._at_a_time = options.at_a_time or 1
        share = self._at_a_time > 1
        # a copy: the server that forks is started with another environment for a moment
        self._environment = threads_share(os.environ, self._at_a_time) if share else {**os.environ}
        self._interrupted = threading.Event()
        self._forks = ForkServer()
        self._processes: set[subprocess.Popen[bytes] | Fork] = set()

    def preview(self, jobs: Sequence[Job]) -> str:
        """Nothing: the commands are those of the README.

        Raises:
            ConfigError: if an experiment cannot be given its config.
        """
        check_configs(jobs)
        return ""

    def launch(self, jobs: Sequence[Job]) -> list[Outcome]:
        """Run all jobs; Ctrl-C ends those that run and starts no more.

        Raises:
            ConfigError: if the output folder cannot be written, or an experiment cannot be given
                its config.
        """
        if not jobs:
            return []
        submission = Submission.here(self._options, jobs)
        with self._passing_on_termination(), ThreadPoolExecutor(self._at_a_time) as pool:
            running = [
                pool.submit(self._run, submission, number) for number in range(1, len(jobs) + 1)
            ]
            while True:
                try:
                    return [one.result() for one in running]
                except KeyboardInterrupt:
                    self._interrupted.set()
                    logger.info("Interrupted; waiting for experiments to store what they have.")

    @contextmanager
    def _passing_on_termination(self) -> Iterator[None]:
        """Let SIGTERM end the experiments that run, which store what they have, and start no more.

        Ctrl-C needs no help: the terminal sends it to them as well.
        """

        def pass_on(number: int, _frame: FrameType | None) -> None:
            self._interrupted.set()
            for process in list(self._processes):
                process.send_signal(number)

        before = signal.signal(signal.SIGTERM, pass_on)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def _run(self, submission: Submission, number: int) -> Outcome:
        job = submission.tasks[number - 1]
        if self._interrupted.is_set():
            return Outcome(job, None, Status.NOT_STARTED, 0.0)
        logger.info("Starting %s", job.name)
        start = time.monotonic()
        try:
            exit_status = self._start_and_wait(submission, number)
        except (DeepBottleneckError, OSError) as error:
            logger.warning("%s could not be started: %s", job.name, error)
            return Outcome(job, None, Status.FAILED, time.monotonic() - start)
        seconds = time.monotonic() - start
        report = submission.report(number)
        if report is None:
            status = Status.INVALID if exit_status == EXIT_MISTAKE else Status.FAILED
            return Outcome(job, None, status, seconds)
        if report.status == Status.INTERRUPTED:
            self._interrupted.set()
        if report.status == Status.RUNNING:
            logger.error("%s ended with exit status %d in the middle", job.name, exit_status)
            return Outcome(job, report.id, Status.LOST, seconds)
        return Outcome(job, report.id, report.status, seconds)

    def _start_and_wait(self, submission: Submission, number: int) -> int:
        with ExitStack() as open_files:
            process = self._started(submission, number, open_files)
            self._processes.add(process)
            try:
                return process.wait()
            finally:
                self._processes.discard(process)

    def _started(
        self, submission: Submission, number: int, open_files: ExitStack
    ) -> subprocess.Popen[bytes] | Fork:
        log = submission.log_path(number) if self._at_a_time > 1 else None
        command = submission.command(number)
        own = submission.environment(number, self._environment)
        if _can_fork(submission, number):
            return self._forks.start(command, own, log)
        file = open_files.enter_context(log.open("w")) if log else None
        return subprocess.Popen(command, env=own, stdout=file, stderr=file)  # noqa: S603


def _can_fork(submission: Submission, number: int) -> bool:
    """Whether an experiment is one of several, and would run in a fork as it does by itself."""
    job = submission.tasks[number - 1]
    if len(submission.tasks) == 1 or not is_of_this_package(submission.script):
        return False
    try:
        (one,) = sweep.expand(job.config, job.updates)
    except (ConfigError, ValueError):
        # the experiment says what is wrong with its config
        return False
    usual = Config().backend
    return one.hyperparameters.get("backend", usual) == usual


def threads_share(environment: Mapping[str, str], at_a_time: int) -> dict[str, str]:
    """An environment in which a process takes its share of the cores, unless it says otherwise.

    Args:
        environment: the environment to start from.
        at_a_time: how many processes share the cores that this one may use.
    """
    share = str(max(1, len(os.sched_getaffinity(0)) // at_a_time))
    names = (*THREAD_VARIABLES, *TENSORFLOW_VARIABLES)
    return {**dict.fromkeys(names, share), **environment}
