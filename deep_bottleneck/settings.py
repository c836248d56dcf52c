"""Settings from the environment that are not hyperparameters."""

from collections.abc import Mapping
from pathlib import Path

RUNS_VARIABLE = "DEEP_BOTTLENECK_RUNS"
REPORT_VARIABLE = "DEEP_BOTTLENECK_REPORT"


def runs_folder(environment: Mapping[str, str]) -> Path:
    """The folder of the local record: `DEEP_BOTTLENECK_RUNS`, or `runs`."""
    return Path(environment.get(RUNS_VARIABLE) or "runs")
