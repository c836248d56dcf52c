"""What the recorders have in common that leave a tidy table."""

import logging
from abc import abstractmethod
from collections.abc import Hashable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from deep_bottleneck.interfaces import Record, TableRecord
from deep_bottleneck.measuring.tables import with_names
from deep_bottleneck.training.recorder import ScheduledRecorder, State
from deep_bottleneck.training.schedule import Schedule

COLUMNS = ("run", "epoch", "layer", "name", "measure", "value")
WHOLE_NETWORK = -1
"""Stands in the column `layer` for what was measured of all layers together."""

Values = np.ndarray[tuple[int], np.dtype[np.float64]]

logger = logging.getLogger(__name__)


class TableRecorder(ScheduledRecorder):
    """Keeps rows, stores them as a table when training has ended, and logs means over runs."""

    def __init__(self, run: Record, tables: TableRecord, schedule: Schedule, name: str) -> None:
        """Store where results go.

        Args:
            run: where the metrics go.
            tables: where the table goes.
            schedule: the epochs to record.
            name: what the table is called.
        """
        super().__init__(schedule)
        self._run = run
        self._tables = tables
        self._name = name
        self._pieces: list[pd.DataFrame] = []
        self._told: set[Hashable] = set()

    def keep_rows(self, rows: pd.DataFrame) -> None:
        """Keep rows of the table, with columns run, epoch and layer among others."""
        self._tables.append(self._name, rows)
        self._pieces.append(rows)

    def tell_once(self, topic: Hashable, message: str) -> None:
        """Log a warning, unless one on the same topic has been logged before.

        Args:
            topic: a plain value, which a checkpoint can hold.
            message: the warning.
        """
        if topic not in self._told:
            self._told.add(topic)
            logger.warning("%s: %s", self._name, message)

    def state(self) -> State:
        """The rows, and what the log was told."""
        if self._pieces:
            # it is asked for often, and thousands of pieces take long to join
            self._pieces = [pd.concat(self._pieces, ignore_index=True)]
        return {"rows": self._pieces[0] if self._pieces else None, "told": self._told}

    def restore(self, state: State) -> None:
        """Go on with them."""
        self._pieces = [] if state["rows"] is None else [with_names(state["rows"])]
        self._told = set(state["told"])

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Store the table and log its means over runs."""
        if not self._pieces:
            return
        table = pd.concat(self._pieces, ignore_index=True)
        # stable, so that the measures keep their order
        table = table.sort_values(["run", "epoch", "layer"], ignore_index=True, kind="stable")
        self._tables.add(self._name, table)
        for name, means in self.means(table):
            for epoch, mean in zip(means.index.tolist(), means.tolist(), strict=True):
                self._run.log_scalar(f"{self._name}.{name}", mean, epoch)

    @abstractmethod
    def means(self, table: pd.DataFrame) -> Iterator[tuple[str, "pd.Series[float]"]]:
        """The metrics: each one's name, without the table's, and its means over runs by epoch."""


class MeasureRecorder(TableRecorder):
    """Keeps values of measures of layers.

    The table has a row for each value, with the columns run, epoch, layer, name, measure and
    value. The metrics are called `<table>.layer_<layer>.<measure>`, or `<table>.<name>.<measure>`
    for what was measured of the whole network, whose layer is -1.
    """

    def __init__(self, run: Record, tables: TableRecord, schedule: Schedule, name: str) -> None:
        super().__init__(run, tables, schedule, name)
        self._layer_names: dict[int, str] = {}

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
                    "name": name,
                    "measure": measure,
                    "value": np.asarray(of_runs, dtype=np.float64),
                }
            )
            for measure, of_runs in values.items()
        ]
        self.keep_rows(pd.concat(pieces, ignore_index=True))

    def state(self) -> State:
        """The names of the layers as well."""
        return {**super().state(), "layer_names": self._layer_names}

    def restore(self, state: State) -> None:
        """Go on with them."""
        super().restore(state)
        self._layer_names = dict(state["layer_names"])

    def means(self, table: pd.DataFrame) -> Iterator[tuple[str, "pd.Series[float]"]]:
        """A metric for each layer and measure."""
        for (layer, measure), of_measure in table.groupby(["layer", "measure"], sort=False):
            part = self._layer_names[layer] if layer == WHOLE_NETWORK else f"layer_{layer}"
            yield f"{part}.{measure}", of_measure.groupby("epoch")["value"].mean()
