"""What the recorders have in common that leave a tidy table of measures."""

import logging
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import pandas as pd

from deep_bottleneck.callbacks.scheduled import ScheduledRecorder
from deep_bottleneck.interfaces import Record, TableRecord
from deep_bottleneck.training.schedule import Schedule

COLUMNS = ("run", "epoch", "layer", "layer_name", "measure", "value")
WHOLE_NETWORK = -1
"""Stands in the column `layer` for what was measured of all layers together."""

Values = np.ndarray[tuple[int], np.dtype[np.float64]]

logger = logging.getLogger(__name__)


class MeasureRecorder(ScheduledRecorder):
    """Keeps values of measures of layers, stores them as a table and logs their means over runs.

    The table has a row for each value, with the columns run, epoch, layer, layer_name, measure and
    value. The metrics are called `<table>.layer_<layer>.<measure>`, or `<table>.<name>.<measure>`
    for what was measured of the whole network, whose layer is -1.
    """

    def __init__(self, run: Record, tables: TableRecord, schedule: Schedule, name: str) -> None:
        super().__init__(schedule)
        self._run = run
        self._tables = tables
        self._name = name
        self._pieces: list[pd.DataFrame] = []
        self._layer_names: dict[int, str] = {}
        self._told: set[Hashable] = set()

    def keep(
        self,
        epoch: int,
        runs: Sequence[int],
        layer: int,
        layer_name: str,
        values: Mapping[str, Values],
    ) -> None:
        """Keep the values of a layer at an epoch.

        Args:
            epoch: the epoch.
            runs: the runs that were measured.
            layer: the layer's number, or `WHOLE_NETWORK`.
            layer_name: its name; all runs get the name that came first.
            values: for each measure a value for each of the runs, shape (runs,).
        """
        name = self._layer_names.setdefault(layer, layer_name)
        pieces = [
            pd.DataFrame(
                {
                    "run": list(runs),
                    "epoch": epoch,
                    "layer": layer,
                    "layer_name": name,
                    "measure": measure,
                    "value": np.asarray(of_runs, dtype=np.float64),
                }
            )
            for measure, of_runs in values.items()
        ]
        rows = pd.concat(pieces, ignore_index=True)
        self._tables.append(self._name, rows)
        self._pieces.append(rows)

    def tell_once(self, topic: Hashable, message: str) -> None:
        """Log a warning, unless one on the same topic has been logged before."""
        if topic not in self._told:
            self._told.add(topic)
            logger.warning("%s: %s", self._name, message)

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Store the table and log its means over runs."""
        if not self._pieces:
            return
        table = pd.concat(self._pieces, ignore_index=True)[list(COLUMNS)]
        # stable, so that the measures keep their order
        table = table.sort_values(["run", "epoch", "layer"], ignore_index=True, kind="stable")
        self._tables.add(self._name, table)
        for (layer, measure), of_measure in table.groupby(["layer", "measure"], sort=False):
            part = self._layer_names[layer] if layer == WHOLE_NETWORK else f"layer_{layer}"
            means = of_measure.groupby("epoch")["value"].mean()
            for epoch, mean in zip(means.index.tolist(), means.tolist(), strict=True):
                self._run.log_scalar(f"{self._name}.{part}.{measure}", mean, epoch)
