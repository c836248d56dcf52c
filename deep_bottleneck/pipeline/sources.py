"""Which source files an experiment depends on, and whether they are still the same."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from deep_bottleneck.config.components import Component
from deep_bottleneck.storage.identity import digest_of

SCRIPT = "experiment.py"
# which a process that was forked by a launch has imported
LAUNCHING = "deep_bottleneck.launching"


def of_experiment(root: Path, components: Sequence[Component]) -> list[Path]:
    """The framework's files that this process has imported, and those of plug-ins from elsewhere.

    With the plug-ins found, what is imported is what the results come from, and nothing else is: a
    change to another estimator, plotter or to the launching of experiments changes none of them.

    Args:
        root: the folder with the script and the package.
        components: the experiment's plug-ins.
    """
    package = root / "deep_bottleneck"
    modules = [
        module
        for name, module in sys.modules.items()
        if name.startswith(package.name) and not name.startswith(LAUNCHING)
    ]
    own = {Path(module.__file__).resolve() for module in modules if module.__file__}
    return sorted({root / SCRIPT} | own | set(_plug_in_files(components, package)))


def unchanged(root: Path, base: Path, sources: Iterable[Sequence[str]]) -> bool:
    """Whether all sources of a stored experiment are what they were.

    Args:
        root: the folder with the script and the package.
        base: what their names are relative to: that folder, or the copy of it that was run.
        sources: for each its name and where the record keeps it, which ends in the MD5 of its
            content, as Sacred has them in `run.json`.
    """
    paths = [((base if name.startswith("..") else root) / name, kept) for name, kept in sources]
    return all(
        path.is_file() and Path(kept).stem.endswith(f"_{digest_of(path.read_bytes())}")
        for path, kept in paths
    )


def _plug_in_files(components: Iterable[Component], package: Path) -> Iterable[Path]:
    for component in components:
        path = Path(component.module.__file__ or "").resolve()
        installed = {"site-packages", "dist-packages"} & set(path.parts)
        if path.is_file() and package not in path.parents and not installed:
            yield path
