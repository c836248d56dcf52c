"""What the analyses have in common."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from myst_nb import glue
from pandas.io.formats.style import Styler

from deep_bottleneck.config import Config
from deep_bottleneck.interfaces import FloatArray
from deep_bottleneck.pipeline.plan import make_plan
from deep_bottleneck.pipeline.run import run_experiment
from deep_bottleneck.plotter.style import STYLE

plt.rcParams.update(STYLE)


def show(**values: Any) -> None:
    """Make numbers known to the text around a cell, where `{glue:text}` shows them."""
    for name, value in values.items():
        glue(name, value.item() if isinstance(value, np.generic) else value, display=False)


def styled(table: pd.DataFrame) -> Styler:
    """A table that looks like the others of the page, and whose numbers can be formatted."""
    return table.style.set_table_attributes('class="docutils"')


def train(folder: str, **hyperparameters: Any) -> dict[str, FloatArray]:
    """Run an experiment and leave its activations in a folder; nothing is stored elsewhere.

    Args:
        folder: where the activation store goes.
        hyperparameters: what differs from the defaults.

    Returns:
        The final accuracy on "train" and "test" examples, of shape (n_runs,).
    """
    values = {"calculate_mi_for": ["test"], "plotters": [], **hyperparameters}
    config = Config.parse({**values, "keep_activations": True})
    return run_experiment(config, make_plan(config), _Unstored(), Path(folder))


class _Unstored:
    """A record that keeps nothing."""

    def log_scalar(self, name: str, value: float, step: int) -> None:
        pass

    def add_artifact(self, filename: str, name: str) -> None:
        pass
