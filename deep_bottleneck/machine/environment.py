"""Settings from the environment that are not hyperparameters."""

from collections.abc import Mapping
from pathlib import Path

RUNS_VARIABLE = "DEEP_BOTTLENECK_RUNS"
REPORT_VARIABLE = "DEEP_BOTTLENECK_REPORT"
OUTPUT_VARIABLE = "DEEP_BOTTLENECK_OUTPUT"
# where a working copy keeps the settings of a database, which git ignores
ENV_PATH = Path("infrastructure") / "sacred_setup" / ".env"
CONTINUE_VARIABLE = "DEEP_BOTTLENECK_CONTINUE"


def runs_folder(environment: Mapping[str, str]) -> Path:
    """The folder of the local record: `DEEP_BOTTLENECK_RUNS`, or `runs`."""
    return Path(environment.get(RUNS_VARIABLE) or "runs")


def output_folder(environment: Mapping[str, str]) -> Path:
    """The folder of what launches leave: `DEEP_BOTTLENECK_OUTPUT`, or `output`."""
    return Path(environment.get(OUTPUT_VARIABLE) or "output")
