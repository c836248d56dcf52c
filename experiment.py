"""The Sacred experiment: trains networks, measures them, draws and stores everything.

    python experiment.py with configs/basic.json seed=0
    python experiment.py print_config with configs/basic.json

All of Sacred's command line works here.
"""

import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sacred
from sacred.config.config_files import HANDLER_BY_EXT
from sacred.dependencies import Source, get_digest
from sacred.host_info import HostInfoGetter
from sacred.run import Run

from deep_bottleneck.config import Config
from deep_bottleneck.config.reading import read
from deep_bottleneck.config.sweep import is_sweep, parse_update
from deep_bottleneck.errors import (
    EXIT_DISK_FULL,
    ConfigError,
    DataError,
    RecordError,
    exit_on,
)
from deep_bottleneck.machine.backend import start_keras
from deep_bottleneck.machine.disk_space import disk_full_said
from deep_bottleneck.machine.environment import CONTINUE_VARIABLE, runs_folder
from deep_bottleneck.machine.processes import this_process
from deep_bottleneck.pipeline import sources
from deep_bottleneck.storage import observers
from deep_bottleneck.storage.mongo import ENV_FILE
from deep_bottleneck.storage.names import CONTINUES, DEVICE
from deep_bottleneck.training.preemption import Preemption, TimeIsUp

ROOT = Path(__file__).resolve().parent
EXIT_INTERRUPTED = 130
EXIT_TIMEOUT = 75

sacred.SETTINGS.CAPTURE_MODE = "sys"
sacred.SETTINGS.DISCOVER_DEPENDENCIES = "pkg"

logger = logging.getLogger("deep_bottleneck")
# Config checks types; a key that may be one thing or another is no reason for Sacred to warn
logging.getLogger().addFilter(lambda record: "Changed type of config entry" not in str(record.msg))
# Sacred's own reader takes no byte order mark, and what jsonpickle wrote
HANDLER_BY_EXT[".json"].load = lambda file: read(Path(file.name))
ex = sacred.Experiment(
    "deep-bottleneck",
    base_dir=ROOT,
    additional_host_info=[HostInfoGetter(this_process, "process")],
)
ex.add_config(Config.parse({}).defaults())


@ex.config_hook
def prepare(
    config: Mapping[str, Any],
    command_name: str,
    logger: logging.Logger,  # noqa: ARG001
) -> dict[str, Any]:
    """Find every mistake of the config before anything is stored or trained."""
    with exit_on(ConfigError, RecordError):
        chosen = Config.parse(config)
        start_keras(chosen.backend)
        # what an experiment imports is what its record keeps as sources
        import deep_bottleneck.pipeline.run  # noqa: F401
        from deep_bottleneck.machine import device
        from deep_bottleneck.pipeline import needs
        from deep_bottleneck.pipeline.plan import make_plan

        device.choose(chosen.device, chosen.backend)
        plan = make_plan(chosen)
        needs.check_config(chosen, plan, runs_folder(os.environ))
        if command_name == ex.default_command and not ex.observers:
            ex.observers.extend(observers.configured(os.environ, ENV_FILE))
    add_sources(sources.of_experiment(ROOT, plan.all))
    # what networks learn from decides the result as the code does, and is kept along with it
    for path in plan.dataset_files:
        ex.sources.add(Source(str(path.resolve()), get_digest(path), None, None, False))
    return {}


def add_sources(paths: Sequence[Path]) -> None:
    """Let the record keep files; git is asked once about all of the framework."""
    script = Source.create(__file__)
    for path in paths:
        if path.is_relative_to(ROOT):
            of_git = script.repo, script.commit, script.is_dirty
            ex.sources.add(Source(path, get_digest(path), *of_git))
        else:
            ex.add_source_file(path)


@ex.main
def run(_config: Mapping[str, Any], _run: Run) -> dict[str, float]:
    """Run the experiment; the result is the final accuracy, averaged over runs."""
    from deep_bottleneck.machine import device
    from deep_bottleneck.pipeline.plan import make_plan
    from deep_bottleneck.pipeline.run import run_experiment

    config = Config.parse(_config)
    _run.info[DEVICE] = device.description(device.choose(config.device, config.backend))
    before = os.environ.get(CONTINUE_VARIABLE)
    if before:
        _run.info[CONTINUES] = Path(before).name
    preemption = Preemption()
    with (
        tempfile.TemporaryDirectory() as scratch,
        logged_into_record(),
        exit_on(ConfigError, DataError, RecordError),
    ):
        folder = observers.local_folder(_run.observers) or Path(scratch)
        with preemption.heard(), disk_full_said(folder):
            accuracy = run_experiment(
                config,
                make_plan(config),
                _run,
                folder,
                preemption,
                Path(before) if before else None,
            )
    return {part: float(values.mean()) for part, values in accuracy.items()}


@contextmanager
def logged_into_record() -> Iterator[None]:
    """Let the log pass through the standard error of now, which Sacred reads along."""
    handlers = [h for h in logging.getLogger().handlers if type(h) is logging.StreamHandler]
    before = [(handler, handler.setStream(sys.stderr)) for handler in handlers]
    try:
        yield
    finally:
        for handler, stream in before:
            if stream is not None:
                handler.setStream(stream)


def main(arguments: Sequence[str]) -> None:
    """Run Sacred's command line, and say at the end where everything is."""
    with exit_on(ConfigError):
        for argument in arguments:
            if "=" in argument:
                parse_update(argument)
            elif argument.endswith(".json") and is_sweep(read(Path(argument))):
                raise ConfigError(
                    f"{argument} is a sweep; run_experiments.py -d {argument} runs it"
                )
    try:
        finished = ex.run_commandline(list(arguments))
    except KeyboardInterrupt as error:
        in_time = not isinstance(error, TimeIsUp)
        folder = observers.local_folder(ex.current_run.observers) if ex.current_run else None
        ended = "Interrupted" if in_time else "The time is up"
        logger.warning("%s; what was recorded until now is in %s", ended, folder)
        logging.shutdown()
        # everything is stored and closed; taking the backends down in order takes seconds
        os._exit(EXIT_INTERRUPTED if in_time else EXIT_TIMEOUT)
    except SystemExit as stopped:
        if stopped.code == EXIT_DISK_FULL:
            logging.shutdown()
            # HDF5 may crash when it is taken down with a file that it could not write
            os._exit(EXIT_DISK_FULL)
        raise
    if finished is None or finished.result is None or not finished.observers:
        return
    folder = observers.local_folder(finished.observers)
    if folder and folder.is_relative_to(Path.cwd()):
        folder = folder.relative_to(Path.cwd())
    pictures = sorted(folder.glob("*.png")) if folder else []
    accuracy = ", ".join(f"{part} {value:.4f}" for part, value in finished.result.items())
    logger.info("Experiment %s: %s", finished._id, finished.status)
    logger.info("Record: %s", folder)
    logger.info("Pictures: %s", ", ".join(map(str, pictures)) or "none")
    logger.info("Final accuracy (mean over runs): %s", accuracy)
    if observers.is_incomplete(finished.observers):
        sys.exit(EXIT_DISK_FULL)


if __name__ == "__main__":
    main(sys.argv)
