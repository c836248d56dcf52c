"""Lays scripts, configs, job templates and references of a clone into the package that is built."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
HOME = Path("deep_bottleneck") / "home"


class BuildWithHome(build_py):
    """Builds the package, with what stands beside it in a clone; the rest is in pyproject.toml."""

    def run(self) -> None:
        """Build it, unless it stays in the clone (`pip install --editable`)."""
        super().run()
        if self.editable_mode:
            return
        home = Path(self.build_lib) / HOME
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        for script in ("experiment.py", "run_experiments.py"):
            shutil.copy(ROOT / script, home)
        for folder in (Path("configs"), Path("infrastructure") / "grid"):
            shutil.copytree(ROOT / folder, home / folder)
        (home / "docs").mkdir()
        shutil.copy(ROOT / "docs" / "references.bib", home / "docs")


setup(cmdclass={"build_py": BuildWithHome})
