"""What the record of an experiment calls its files, tables and notes."""

from pathlib import Path

STORE_NAME = "activations.h5"
CHECKPOINT = "checkpoint.h5"
# what an earlier version called it; it is never read
FORMER_CHECKPOINT = "checkpoint.pickle"
# what the names of the tables of an experiment start with
INFORMATION = "information_measures_"
TRUST = "trust_"
# in the info of an experiment: the id of the one that it goes on from
CONTINUES = "continues"
# in the info of an experiment: where it trained and measured
DEVICE = "device"


def left_unfinished(folder: Path) -> bool:
    """Whether the folder of an experiment holds a checkpoint and what was recorded until then."""
    return all((folder / name).exists() for name in (CHECKPOINT, STORE_NAME))
