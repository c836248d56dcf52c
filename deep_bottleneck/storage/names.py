"""What the record of an experiment calls its files, tables and notes."""

from pathlib import Path

STORE_NAME = "activations.h5"
CHECKPOINT = "checkpoint.h5"
# what an earlier version called it; it is never read
FORMER_CHECKPOINT = "checkpoint.pickle"
# one that nobody can go on from, though it is whole
USELESS_CHECKPOINT = "checkpoint_useless.h5"
# what the names of the tables of an experiment start with
INFORMATION = "information_measures_"
TRUST = "trust_"
# the artifacts of the original, without their parts: its Sacred kept no type of a file
SUFFIXES_OF_THE_ORIGINAL = {
    "activations": ".png",
    "infoplane": ".png",
    "infoplane_movie": ".mp4",
    "information_measures": ".csv",
    "single_neuron_activations": ".png",
    "snr": ".png",
}
# in the info of an experiment: the id of the one that it goes on from
CONTINUES = "continues"
# in the info of an experiment: where it trained and measured
DEVICE = "device"


# bytes, on every file system
_LONGEST = 255


def left_unfinished(folder: Path) -> bool:
    """Whether the folder of an experiment holds a checkpoint and what was recorded until then."""
    return all((folder / name).is_file() for name in (CHECKPOINT, STORE_NAME))


def is_plain(name: str) -> bool:
    """Whether a name can be that of a file in whatever folder it is put, and of no hidden one."""
    return (
        name.isprintable()
        and 0 < len(name.encode()) <= _LONGEST
        and not name.startswith(".")
        and not {"/", "\\"} & set(name)
    )


def is_of_experiment(name: str) -> bool:
    """Whether a name can be that of the folder of an experiment."""
    return is_plain(name) and not name.startswith("_")
