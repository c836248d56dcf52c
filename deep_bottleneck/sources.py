"""Which source files an experiment depends on."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from deep_bottleneck.components import Component

SCRIPTS = ("experiment.py", "run_experiments.py")


def of_experiment(root: Path, components: Sequence[Component]) -> list[Path]:
    """The framework's own files, and those of plug-ins from elsewhere.

    Args:
        root: the folder with the scripts and the package.
        components: the experiment's plug-ins.
    """
    package = root / "deep_bottleneck"
    own = {*package.rglob("*.py"), *(root / script for script in SCRIPTS)}
    return sorted(own | set(_plug_in_files(components, package)))


def _plug_in_files(components: Iterable[Component], package: Path) -> Iterable[Path]:
    for component in components:
        path = Path(component.module.__file__ or "").resolve()
        installed = {"site-packages", "dist-packages"} & set(path.parts)
        if path.is_file() and package not in path.parents and not installed:
            yield path
