"""Settings from the environment that are not hyperparameters, and names in the record."""

from collections.abc import Mapping
from pathlib import Path

RUNS_VARIABLE = "DEEP_BOTTLENECK_RUNS"
REPORT_VARIABLE = "DEEP_BOTTLENECK_REPORT"
OUTPUT_VARIABLE = "DEEP_BOTTLENECK_OUTPUT"
# where a working copy keeps the settings of a database, which git ignores
ENV_PATH = Path("infrastructure") / "sacred_setup" / ".env"
STORE_NAME = "activations.h5"
CHECKPOINT = "checkpoint.pickle"
# what the names of the tables of an experiment start with
INFORMATION = "information_measures_"
TRUST = "trust_"
# in the info of an experiment: the id of the one that it goes on from
CONTINUES = "continues"
# in the info of an experiment: where it trained and measured
DEVICE = "device"
CONTINUE_VARIABLE = "DEEP_BOTTLENECK_CONTINUE"


def runs_folder(environment: Mapping[str, str]) -> Path:
    """The folder of the local record: `DEEP_BOTTLENECK_RUNS`, or `runs`."""
    return Path(environment.get(RUNS_VARIABLE) or "runs")


def output_folder(environment: Mapping[str, str]) -> Path:
    """The folder of what launches leave: `DEEP_BOTTLENECK_OUTPUT`, or `output`."""
    return Path(environment.get(OUTPUT_VARIABLE) or "output")


def left_unfinished(folder: Path) -> bool:
    """Whether the folder of an experiment holds a checkpoint and what was recorded until then."""
    return all((folder / name).exists() for name in (CHECKPOINT, STORE_NAME))
