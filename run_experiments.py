"""Run one experiment or many: a config file, a sweep, or a folder of them.

python run_experiments.py -d configs/basic.json
python run_experiments.py -d configs/basic.json epochs=100 seed=1
python run_experiments.py -d configs --dry-run
python run_experiments.py -d configs/cohorts/cohort_05.json --only activation_fn=tanh --resume
python run_experiments.py --reestimate 12 --estimator mi_estimator.kraskov=3
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from deep_bottleneck import components
from deep_bottleneck.errors import ConfigError, RecordError, exit_on
from deep_bottleneck.interfaces import Outcome
from deep_bottleneck.launch_plan import LaunchPlan
from deep_bottleneck.settings import runs_folder

ROOT = Path(__file__).resolve().parent
EXPERIMENT_SCRIPT = ROOT / "experiment.py"

logger = logging.getLogger("deep_bottleneck")


def main(arguments: Sequence[str] | None = None) -> int:
    """Launch the experiments and show how each of them ended.

    Returns:
        The exit status: 0 if all went well, 1 if an experiment did not, 2 for a mistake in the
        command.
    """
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s - %(name)s - %(message)s")
    if options.reestimate:
        return _reestimate(options.reestimate, options.estimator)
    with exit_on(ConfigError):
        plan = LaunchPlan.make(options.configs, options.updates, options.only)
        if options.resume:
            plan = plan.without_completed(runs_folder(os.environ), ROOT)
        if options.dry_run:
            sys.stdout.write(plan.table() + "\n")
            return int(plan.has_mistakes)
        launcher = components.find("launcher", options.launcher).load(
            {"experiment_script": EXPERIMENT_SCRIPT}
        )
        jobs = plan.jobs(runs_folder(os.environ))
    done = len(plan.experiments) - len(jobs)
    if done:
        logger.info("%d of %d experiments are stored as completed.", done, len(plan.experiments))
    outcomes = launcher.launch(jobs)
    if outcomes:
        sys.stdout.write("\n" + outcome_table(outcomes) + "\n")
    return int(any(outcome.status != "COMPLETED" for outcome in outcomes))


def outcome_table(outcomes: Sequence[Outcome]) -> str:
    """How each experiment ended, as text."""
    rows = [(o.job.name, o.experiment_id or "-", o.status, f"{o.seconds:.0f} s") for o in outcomes]
    return pd.DataFrame(rows, columns=["config", "id", "status", "time"]).to_string(index=False)


def _reestimate(experiment_id: str, estimators: Sequence[str]) -> int:
    """Measure a stored experiment with more estimators."""
    # only here: torch takes seconds to import
    from deep_bottleneck.reestimation import reestimate

    folder = runs_folder(os.environ) / experiment_id
    with exit_on(ConfigError, RecordError):
        if not estimators:
            raise ConfigError("--reestimate needs an estimator: --estimator PATH or PATH=RANGE")
        chosen = [_estimator(text) for text in estimators]
        added = reestimate(folder, chosen)
    logger.info("Added to %s: %s", folder, ", ".join(added))
    return 0


def _estimator(text: str) -> str | list[str | float]:
    """An estimator of the command line as a config has it."""
    path, equals, parameter = text.partition("=")
    if not equals:
        return path
    try:
        return [path, float(parameter)]
    except ValueError:
        raise ConfigError(f"--estimator {text}: {parameter!r} is no number") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Run one experiment or many: a config file, a sweep, or a folder of them."
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "-d",
        "-c",
        "--configs",
        type=Path,
        metavar="PATH",
        help="a JSON config or sweep, or a folder that is walked for them in a stable order",
    )
    what.add_argument(
        "--reestimate",
        metavar="ID",
        help="measure a stored experiment that kept its activations with other estimators",
    )
    parser.add_argument(
        "--estimator",
        action="append",
        default=[],
        metavar="PATH[=RANGE]",
        help="estimator for --reestimate, with its discretization_range; may be repeated",
    )
    parser.add_argument(
        "updates", nargs="*", metavar="KEY=VALUE", help="hyperparameters to change in each config"
    )
    parser.add_argument(
        "--launcher",
        default="launchers.local",
        metavar="PATH",
        help="import path of the launcher (default: %(default)s)",
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="leave out experiments with another value of this hyperparameter; may be repeated",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="leave out experiments that are stored as completed, with the same config and code",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="list the experiments and check their configs only"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
