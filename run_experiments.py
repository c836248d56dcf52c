"""Run one experiment or many: a config file, a sweep, or a folder of them.

python run_experiments.py -d configs/basic.json
python run_experiments.py -d configs/basic.json epochs=100 seed=1
python run_experiments.py -d configs --dry-run
python run_experiments.py -d configs/cohorts/cohort_05.json --only activation_fn=tanh --resume
python run_experiments.py -d configs/cohorts/cohort_05.json --launcher slurm --jobs 20
python run_experiments.py --status
python run_experiments.py --resume --resource time=08:00:00
python run_experiments.py --reestimate 12 --estimator mi_estimator.kraskov=3
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from deep_bottleneck.launching import command

ROOT = Path(__file__).resolve().parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command says, with the experiment of this folder.

    Returns:
        The exit status: 0 if all went well, 1 if an experiment did not, 2 for a mistake in the
        command or in the config of an experiment.
    """
    return command.run(arguments, ROOT)


if __name__ == "__main__":
    sys.exit(main())
