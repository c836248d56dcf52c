"""What a paper that shows an experiment should cite: its data, estimators and measures."""

import os
import re
from collections.abc import Iterable

import deep_bottleneck
from deep_bottleneck.config import Config, sweep
from deep_bottleneck.launching import home
from deep_bottleneck.launching.plan import files_of, plug_ins_of
from deep_bottleneck.machine.environment import runs_folder
from deep_bottleneck.storage.folder_store import FolderStore

OURS = f"""@software{{deep-bottleneck,
  author = {{{{The deep-bottleneck authors}}}}, version = {{{deep_bottleneck.__version__}}},
  title = {{deep-bottleneck: watch information move through a neural network while it learns}},
  year = {{2026}}}}
"""


def bibtex(config_or_id: str) -> str:
    """An entry for the framework and for each work that a module of an experiment is made after.

    Args:
        config_or_id: the id of an experiment in the local record, or a config or sweep as
            `home.config` finds it.

    Raises:
        ConfigError: if there is none, or it is wrong.
        RecordError: if the experiment cannot be read.
    """
    keys = dict.fromkeys(key for config in _configs(config_or_id) for key in _references(config))
    text = (home.home() / "docs" / "references.bib").read_text(encoding="utf-8")
    entries = dict(re.findall(r"^(?=@\w+\{([^,]+),)(.*?)(?=^@|\Z)", text, re.M | re.S))
    return OURS + "".join(entries[key] for key in keys)


def _configs(config_or_id: str) -> list[Config]:
    record = FolderStore(runs_folder(os.environ))
    stored = record.folder_of(config_or_id) if config_or_id.isdecimal() else None
    if stored is not None and stored.is_dir():
        return [Config.parse(record.config(config_or_id))]
    return [
        Config.parse(one.hyperparameters, str(file))
        for file in files_of(home.config(config_or_id))
        for one in sweep.expand(file)
    ]


def _references(config: Config) -> Iterable[str]:
    """The keys that the modules of an experiment name in `REFERENCES`."""
    for component in plug_ins_of(config).all:
        yield from getattr(component.module, "REFERENCES", ())
